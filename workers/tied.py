"""Processes that end with the one that started them."""

import os
import sys
from collections.abc import Sequence

# The kernel sends the signal when the *thread* that spawned ends, hence the main thread only.
HAS_DEATH_SIGNAL = sys.platform == "linux"
# argv: pid of the parent, program, arguments. The signal is asked for in the process that then
# becomes the program; a parent that died before that is found by its pid.
TIED = """
import ctypes, os, signal, sys
PR_SET_PDEATHSIG = 1
ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""


def python(code: str) -> list[str]:
    """The command that runs this code with this interpreter and nothing else of ours."""
    return [sys.executable, "-I", "-S", "-c", code]


def tied(command: Sequence[str]) -> list[str]:
    """The command so that SIGTERM reaches it when this process is gone, however that died."""
    if not HAS_DEATH_SIGNAL:
        return list(command)
    return [*python(TIED), str(os.getpid()), *command]
