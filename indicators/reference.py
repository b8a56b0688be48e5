"""The reference of the catalogue: one page a category, read off the definitions.

    python -m indicators.reference --write docs/reference     pages and plots
    python -m indicators.reference --check docs/reference     exit 1 when a page is stale

The check compares the text, and which plots there are, but not the plots' content: the C library
of another machine may give the last digit of a logarithm otherwise, and so move a line's point.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from indicators import CATALOGUE
from indicators.bounds import Bounds, Choice
from indicators.catalogue import REQUIRED, Indicator, Input, Option
from indicators.describe import describe
from indicators.generated import check, write

INDEX, PLOTS = "README.md", "plots"
NUMBER_MAX = 1e15  # from here on a bound only says that the number is finite
TINY = 1e-12  # up to here it only says that the number is above zero
GENERATED = "Made from the definitions by `make docs`."
HEAD = f"""\
# The indicators

{len(CATALOGUE)} indicators. {GENERATED} How to use them is in [indicators.md](../indicators.md),
what differs from pandas-ta in [differences.md](../differences.md).

*Warm-up* is the rows before the first value. *Memory* is the rows after which the start of
history no longer matters. *State* is what one instrument takes. All are of the default parameters.
Every indicator also takes `offset`: rows to look back, 0 to 10,000. The plots are of Apple's
daily bars up to March 2013 (public domain).
"""


def pages(folder: Path) -> dict[Path, str]:
    """Every page with its text."""
    found = {folder / INDEX: _index()}
    for category, entries in _by_category():
        body = "\n".join(_entry(entry) for entry in entries)
        found[folder / f"{category}.md"] = f"# {category.capitalize()}\n\n{GENERATED}\n\n{body}"
    return found


def _by_category() -> Iterable[tuple[str, list[Indicator]]]:
    ordered = sorted(CATALOGUE.values(), key=lambda entry: (entry.category, entry.name))
    for category, entries in groupby(ordered, key=lambda entry: entry.category):
        yield category, list(entries)


def _index() -> str:
    parts = [HEAD]
    for category, entries in _by_category():
        parts.append(f"## [{category.capitalize()}]({category}.md), {len(entries)}\n")
        parts.append("| indicator | what |\n|---|---|")
        parts += [
            f"| [`{entry.name}`]({category}.md#{entry.name}) | {_cell(entry.summary)} |"
            for entry in entries
        ]
        parts.append("")
    return "\n".join(parts)


def _entry(entry: Indicator) -> str:
    about = describe(entry)
    inputs = "; ".join(_input(each) for each in entry.inputs)
    lines = [
        f"## {entry.name}\n",
        f"{entry.summary}\n",
        f"```\n{entry.usage}\n```\n",
        f"![{entry.name}]({PLOTS}/{entry.name}.svg)\n",
        *_notes(entry),
        f"* Inputs: {inputs}",
        f"* Unit: {entry.unit}",
        f"* Source: {entry.source}",
        f"* State: {about['state_bytes']:,} bytes; warm-up {about['warmup']:,} rows\n",
    ]
    if entry.options:
        lines.append("| parameter | default | wanted |\n|---|---|---|")
        lines += [f"| `{o.name}` | {_default(o)} | {_cell(_wanted(o))} |" for o in entry.options]
        lines.append("")
    lines += [*_outputs(about["outputs"]), ""]
    if entry.differs:
        lines.append(f"Differs from pandas-ta: {entry.differs}\n")
    return "\n".join(lines)


def _notes(entry: Indicator) -> Sequence[str]:
    """What the docstring says between its first sentence and its labels."""
    body = entry.description.partition("\n")[2]
    kept = body.partition("Differs: ")[0].partition("Unit: ")[0].partition("Source: ")[0].strip()
    return [f"{kept}\n"] if kept else []


def _input(each: Input) -> str:
    if each.many:
        return f"`{each.name}`, any number of series"
    if each.default is not None:
        return f"`{each.name}`, by default {each.default!r}"
    return f"`{each.name}`, {'must be given' if each.required else 'by default none'}"


def _default(option: Option) -> str:
    return "" if option.default is REQUIRED else f"`{option.default!r}`"


def _wanted(option: Option) -> str:
    rule, words = option.rule, option.kind.__name__
    if isinstance(rule, Choice):
        words = ", ".join(f"`{word}`" for word in rule.known())
    elif isinstance(rule, Bounds):
        words = f"{'whole ' if option.kind is int else ''}number{_bounds(rule)}"
    return f"{words}, or none" if option.optional else words


def _bounds(rule: Bounds) -> str:
    if rule.most >= NUMBER_MAX:
        if rule.least <= -NUMBER_MAX:
            return ""
        return " above 0" if 0 < rule.least <= TINY else f" of at least {rule.least:,g}"
    return f", {rule.least:,.12g} to {rule.most:,.12g}"


def _outputs(outputs: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = ["| output | column | warm-up | memory |\n|---|---|---:|---:|"]
    for output in outputs:
        column = f"`{output['column']}`" if output["column"] else ""
        memory = "for ever" if output["memory"] is None else f"{output['memory']:,.0f}"
        lines.append(f"| `{output['name']}` | {column} | {output['warmup']:,} | {memory} |")
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main(arguments: Sequence[str]) -> int:
    """Write or check the reference; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m indicators.reference", description=__doc__)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", metavar="FOLDER", type=Path)
    what.add_argument("--check", metavar="FOLDER", type=Path)
    chosen = parser.parse_args(arguments)
    folder = chosen.write or chosen.check
    texts = pages(folder)
    wanted = {folder / PLOTS / f"{name}.svg" for name in CATALOGUE}
    if chosen.check is not None:
        there = {*folder.glob("*.md"), *(folder / PLOTS).glob("*.svg")}
        for path in sorted(there ^ {*texts, *wanted}):
            sys.stderr.write(f"{path} is missing, or of no indicator: run `make docs`\n")
        return max(check(texts), int(there != {*texts, *wanted}))
    from indicators.plots import plots  # needs bars that only a development set-up has

    write(texts | {folder / PLOTS / f"{name}.svg": svg for name, svg in plots()})
    for path in {*folder.glob("*.md"), *(folder / PLOTS).glob("*.svg")} - {*texts, *wanted}:
        path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
