"""How full memory is: this process's under its limit, and the server's under its own."""

import os
from pathlib import Path

from streams.connection import Link, translation

CGROUP_FILES = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
STATM = Path("/proc/self/statm")
MEMINFO = Path("/proc/meminfo")
NO_LIMIT_BYTES = 1 << 50  # cgroup v1 says "no limit" by a number above this
KIB = 1024
FREE_BYTES_GUESS = 1 << 30  # where the system does not tell


def limit_bytes() -> int | None:
    """What this process may use at most, None where nothing limits it."""
    for path in CGROUP_FILES:
        text = _read(path).strip()
        if text.isdigit() and int(text) < NO_LIMIT_BYTES:
            return int(text)
    return None


def used_bytes() -> int:
    """What this process uses now, 0 where the system does not tell."""
    words = _read(STATM).split()
    return int(words[1]) * os.sysconf("SC_PAGE_SIZE") if words else 0


def free_bytes() -> int:
    """What this process may still take, by its own limit and by what the machine has."""
    limit = limit_bytes()
    available = FREE_BYTES_GUESS
    for line in _read(MEMINFO).splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * KIB
    return available if limit is None else max(0, min(available, limit - used_bytes()))


def share_in_use(link: Link) -> float:
    """The fuller of the server's memory and this process's, 0 to 1. Raises: Unavailable."""
    with translation():
        servers = link.each(lambda server: server.info("memory"))
    shares = [info["used_memory"] / info["maxmemory"] for info in servers if info.get("maxmemory")]
    limit = limit_bytes()
    if limit:
        shares.append(used_bytes() / limit)
    return max(shares, default=0.0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
