"""What a worker pays once: kernels come from the cache, and work elsewhere too."""

import os
import subprocess
import sys
from pathlib import Path

COUNT_COMPILED = """
from numba.core import event
compiled = []
class Listener(event.Listener):
    def on_start(self, happened): compiled.append(happened.data["dispatcher"])
    def on_end(self, happened): pass
event.register("numba:compile", Listener())
from streams import warm
warm()
print(len(compiled))
"""


def compiled_by_a_new_process(cache: Path) -> int:
    environment = os.environ | {"NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", COUNT_COMPILED],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    return int(done.stdout)


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    assert compiled_by_a_new_process(tmp_path) > 0
    assert compiled_by_a_new_process(tmp_path) == 0
