"""Log lines stay whole, whoever else writes to the same standard error."""

import os
import socket
import subprocess
import sys

import orjson

SPEAK = """
import structlog
from workers.logs import configure_logs
from workers.settings import LogSettings
configure_logs(LogSettings())
for number in range(3):
    structlog.get_logger().warning("said", number=number)
"""


def test_each_line_is_written_at_once() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # a write is a datagram
    with ours, theirs:
        unbuffered = {**os.environ, "PYTHONUNBUFFERED": "1"}
        subprocess.run([sys.executable, "-c", SPEAK], stderr=theirs, env=unbuffered, check=True)
        ours.setblocking(False)
        lines = [ours.recv(65_536) for _ in range(3)]
    assert all(line.endswith(b"\n") for line in lines)
    assert [orjson.loads(line)["number"] for line in lines] == [0, 1, 2]
