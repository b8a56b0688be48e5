"""Pages that are made from the definitions: written, or compared with what is there."""

import sys
from collections.abc import Mapping
from pathlib import Path


def write(pages: Mapping[Path, str]) -> None:
    """Write every page that differs from what is there."""
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def check(pages: Mapping[Path, str]) -> int:
    """Exit status: 1 and a line for each stale page, or 0."""
    stale = [
        path
        for path, text in pages.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        sys.stderr.write(f"{path} is stale: run `make docs`\n")
    return int(bool(stale))
