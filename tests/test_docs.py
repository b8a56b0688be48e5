"""What docs/ shows works as it stands: its commands parse, its lines run, its links lead on."""

import ast
import asyncio
import contextlib
import re
import shlex
from pathlib import Path
from types import CodeType
from typing import Any

import click
import pytest

from indicators import Plan
from streams import ZERO, EntryId, Keys, SymbolTable, Wire, connect
from streams.signals import Signal
from tests.conftest import REPOSITORY, Server
from workers.cli import root

PAGES = [*sorted((REPOSITORY / "docs").rglob("*.md")), *sorted(REPOSITORY.glob("*.md"))]
LISTEN_S = 60.0
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: str, *languages: str) -> list[str]:
    text = (REPOSITORY / "docs" / page).read_text()
    return [block for language, block in FENCE.findall(text) if language in languages]


def commands() -> list[str]:
    """Every line of a page that calls `fleet`, without its prompt and its comment."""
    lines = [
        line.removeprefix("$ ")
        for page in PAGES
        for language, block in FENCE.findall(page.read_text())
        if language in {"", "console"}
        for line in block.splitlines()
    ]
    return sorted({line.partition("  #")[0].strip() for line in lines if line.startswith("fleet ")})


def compiled(block: str, server: Server) -> CodeType:
    """A block as code that may await, with the test's server in place of the reader's."""
    block = block.replace("redis.Redis()", f"redis.Redis.from_url({server.url!r})")
    block = block.replace("redis://localhost:6379/0", server.url)
    code: CodeType = compile(block, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    return code


async def run(code: CodeType, names: dict[str, Any]) -> None:
    result = eval(code, names)
    if result is not None:
        await result


@pytest.mark.parametrize("line", commands())
def test_a_command_of_the_docs_is_one_that_fleet_knows(line: str) -> None:
    command: click.Command = root
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, line
        command = found
    command.make_parser(click.Context(command)).parse_args(words)  # or NoSuchOption, BadUsage


def test_the_lines_for_producers_make_ticks_that_are_read(server: Server) -> None:
    names: dict[str, Any] = {}
    sent = [line for block in blocks("wire.md", "") for line in block.splitlines()]
    with server.client() as client:
        for line in sent:
            if line.startswith("redis-cli XADD"):
                client.execute_command(*shlex.split(line)[1:])
    for block in blocks("wire.md", "python"):
        if "Reader" not in block:
            asyncio.run(run(compiled(block, server), names))
    with contextlib.closing(connect(server.url)) as link:
        wire = Wire(link, Keys(), shards=16)
        wire.open("0", SymbolTable())
        batches = wire.range("0", ZERO, EntryId(2**63, 0))
        wire.close()
    assert [reject.reason for batch in batches for reject in batch.rejects] == []
    assert sum(batch.rows for batch in batches) == 1 + 1 + 2 + 1  # by hand, XADD, frame, producer


def test_the_lines_for_consumers_print_a_signal(server: Server) -> None:
    said = Signal(
        id="0" * 24, symbol="BTC-USD", name="oversold", timeframe="1m", ts=60, status="final",
        value=True, source="core@0", entry=EntryId(1, 1), ts_event=60, ts_publish=61,
    )  # fmt: skip
    fields = said.encode(1)
    printed: list[tuple[object, ...]] = []
    (block,) = (block for block in blocks("wire.md", "python") if "Reader" in block)

    async def listen() -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LISTEN_S):
                await run(compiled(block, server), {"print": heard})

    def heard(*words: object) -> None:
        printed.append(words)
        raise TimeoutError  # the reader of the page goes on; we have seen enough

    with server.client() as client:
        client.xadd("signals:{0}", dict(zip(fields[::2], fields[1::2], strict=True)))
    asyncio.run(listen())
    assert printed == [("BTC-USD", "oversold", True)]


def test_the_lines_for_operators_are_commands_of_the_server(server: Server) -> None:
    lines = [
        line
        for page in ("wire.md", "operations.md")
        for block in blocks(page, "", "console")
        for line in block.splitlines()
        if line.startswith("redis-cli X") and " XADD " not in line
    ]
    assert lines
    with server.client() as client:
        for line in lines:
            words = shlex.split(line.replace("BLOCK 0", "BLOCK 1"))[1:]
            assert not client.execute_command(*words)  # nothing is there yet


def test_the_lines_for_notebooks_run_one_after_the_other() -> None:
    names: dict[str, Any] = {}
    shown = [block for block in blocks("indicators.md", "python") if "Plan.parse" in block]
    for block in shown:
        exec(compile(block, "indicators.md", "exec"), names)
    assert set(names["out"]) == {"RSI_14", "trend", "cross", "gap"}
    assert isinstance(names["plan"], Plan)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)\s]+))?\)", page.read_text()):
        leads_to = page.parent / target if target else page
        assert leads_to.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", leads_to.read_text(), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{target}#{anchor}"


def slug(heading: str) -> str:
    """The anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
