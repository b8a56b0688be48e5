"""What other processes of the same user may see of a worker that runs scripts: nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Server
from tests.workers.fleet import Fleet

REPOSITORY = Path(__file__).resolve().parents[2]
POD = REPOSITORY / "tests" / "sandbox" / "pod.py"
pytestmark = [
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user for a test"),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="the pod's filter is for x86-64"),
]

# Runs beside the worker, as the same user; tries the same on a process that hides nothing.
SNOOPER = """
import ctypes, os, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)
def read(path):
    with open(path, "rb") as file:
        return len(file.read(1))
def mapped(pid):
    with open(f"/proc/{pid}/maps") as maps:
        return int(maps.readline().split("-")[0], 16)
def memory(pid):
    start = mapped(pid)
    with open(f"/proc/{pid}/mem", "rb") as file:
        file.seek(start)
        return len(file.read(1))
def attach(pid):
    if libc.ptrace(16, pid, None, None):
        raise OSError(ctypes.get_errno(), "attach")
    os.waitpid(pid, 0x40000000)
    libc.ptrace(17, pid, None, None)
    return 1
def copy(pid):
    here, there = ctypes.create_string_buffer(8), (ctypes.c_size_t * 2)(mapped(os.getpid()), 8)
    target = (ctypes.c_size_t * 2)(ctypes.addressof(here), 8)
    if libc.process_vm_readv(pid, target, 1, there, 1, 0) < 0:
        if ctypes.get_errno() == 1:
            raise PermissionError("copy")
    return 1
WAYS = {
    "environ": lambda pid: read(f"/proc/{pid}/environ"),
    "maps": mapped, "mem": memory, "attach": attach, "copy": copy,
    "descriptors": lambda pid: len(os.listdir(f"/proc/{pid}/fd")),
}
def open_ways(pid, *names):
    found = []
    for name in names or WAYS:
        try:
            WAYS[name](pid)
            found.append(name)
        except PermissionError:
            pass
    return sorted(found)
sleeper = subprocess.Popen(["sleep", "60"])
worker = subprocess.Popen(
    [sys.executable, "-B", "-m", "workers", "worker", "--config", sys.argv[1], "--name", "one"],
    stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    env={
        **os.environ, "FLEET_HTTP__PORT": "0", "FLEET_SCRIPTS__KEY": "a key that is a secret",
        "NUMBA_CACHE_DIR": "/dev/shm/kernels",
    },
)
try:
    while "environ" in open_ways(worker.pid, "environ"):  # until it has made its jails
        assert worker.poll() is None, worker.stdout.read()
        time.sleep(0.02)
    print("plain", *open_ways(sleeper.pid))
    print("worker", *open_ways(worker.pid))
    assert worker.poll() is None, worker.stdout.read()
finally:
    for process in (sleeper, worker):
        process.kill()
        process.wait()
"""


def test_a_process_of_the_same_user_reads_nothing_of_a_running_worker(
    server: Server, tmp_path: Path
) -> None:
    running = Fleet(server, tmp_path, {"shards": 1, "plans": {"core": {"values": {"c": "close"}}}})
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder.is_relative_to("/tmp"):
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run(
        [sys.executable, str(POD), sys.executable, "-c", SNOOPER, str(running.path)],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "plain attach copy descriptors environ maps mem",
        "worker",
    ]
