"""The README's commands, run as they stand."""

import contextlib
import gzip
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from indicators import frame
from streams import ZERO, EntryId, Keys, SymbolTable, Wire, connect
from tests.conftest import REPOSITORY, Server
from tests.workers.fleet import wait_until

README = (REPOSITORY / "README.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ").partition("   ")[0].partition(" #")[0].strip()
    for language, block in BLOCKS
    if language == "console"
    for line in block.splitlines()
    if line.startswith("$ ")
]
NOON_NS = 1_763_812_800_000_000_000
FOLLOWS = ("fleet tail", "fleet worker")  # these go on until they are stopped


@pytest.fixture
def folder(tmp_path: Path, server: Server) -> Path:
    """A new user's folder: the README's fleet.yaml on our server, and some trades."""
    (given,) = (block for language, block in BLOCKS if language == "yaml")
    config = yaml.safe_load(given)
    config["redis"]["url"] = server.url
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    rows = [f"BTC-USD,{NOON_NS + n * 10**9},{100 + n % 7},1" for n in range(300)]
    for name, some in (("history", rows[:100]), ("trades", rows[100:])):
        with gzip.open(tmp_path / f"{name}.csv.gz", "wt") as file:
            file.write("symbol,ts,price,size\n" + "\n".join(some) + "\n")
    return tmp_path


def reads(server: Server) -> bool:
    """Whether some client waits for entries."""
    with server.client() as client:
        return any(one["cmd"] == "xread" for one in client.client_list())


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert COMMANDS[:2] == ["make demo", "make test"]
    assert {"demo", "test"} <= set(targets)


def test_make_demo_ends_with_a_summary_that_says_nothing_was_lost() -> None:
    done = subprocess.run(
        ["make", "demo", "ARGS=--seconds 6 --rate 500 --symbols 5"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"duplicates +0\n", done.stdout)
    assert re.search(r"gaps +0\n", done.stdout)
    assert "What to try next" in done.stdout


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith("fleet ")])
def test_a_command_of_the_readme_works_as_written(
    command: str, folder: Path, server: Server
) -> None:
    words = [sys.executable, "-m", "workers", *shlex.split(command)[1:]]
    environment = {"PYTHONPATH": str(REPOSITORY), "PATH": "", "FLEET_HTTP__PORT": "0"}
    if not command.startswith(FOLLOWS):
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        if command.startswith("fleet worker"):
            wait_until(lambda: "shard taken" in (folder / "log").read_text(), "it owns shards")
        else:
            wait_until(lambda: reads(server), "it waits for what comes")
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=120) == 0, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def test_the_producer_s_line_is_a_tick_in_its_own_shard(server: Server) -> None:
    (line,) = (command for command in COMMANDS if command.startswith("redis-cli"))
    _, *words = shlex.split(line)
    with server.client() as client:
        assert client.execute_command(*words)
    with contextlib.closing(connect(server.url)) as link:
        wire = Wire(link, Keys(), shards=16)
        wire.open("0", SymbolTable())
        (batch,) = wire.range("0", ZERO, EntryId(2**63, 0))
        wire.close()
    assert (batch.rows, batch.rejects) == (1, ())


def test_the_notebook_s_lines_give_columns() -> None:
    (lines,) = (block for language, block in BLOCKS if language == "python")
    bars = pd.DataFrame({"close": [float(n % 9) + 100 for n in range(300)]})
    names = {"df": bars, "frame": frame}
    exec(compile(lines.replace("frame(df", "out = frame(df"), "README.md", "exec"), names)
    assert list(names["out"]) == ["RSI_14", "trend"]


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (REPOSITORY / target).exists(), target
