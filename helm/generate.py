"""Writes values.schema.json and the table in README.md, both read off the chart's values.yaml.

A default gives a value's type, the comment that starts with `# --` its description, and a comment
`# @schema {...}` what else JSON Schema should say about it. Keys that no one declared are refused.

    python helm/generate.py            write both
    python helm/generate.py --check    exit 1 when either is stale
"""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent / "signalfleet"
BEGIN, END = "<!-- values: generated -->", "<!-- /values -->"
DESCRIPTION, SCHEMA = "# -- ", "# @schema "
TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}

type Json = dict[str, Any]


@dataclass(frozen=True)
class Value:
    """One key of values.yaml: a leaf when it has a description, otherwise a branch."""

    path: tuple[str, ...]
    default: Any
    description: str
    rules: Json

    @property
    def key(self) -> str:
        """The path as `helm --set` takes it."""
        return ".".join(self.path)


class UndeclaredError(ValueError):
    """values.yaml does not say enough about a key. The message names it and its line."""


def values(source: str) -> Iterator[Value]:
    """Every leaf of values.yaml, in its order."""
    yield from _leaves(yaml.compose(source), source.splitlines(), ())


def schema(leaves: list[Value]) -> Json:
    """JSON Schema of all values; unknown keys are refused at every level but `global`."""
    root = _branch()
    # Helm hands `global` to every chart, whether it asked for it or not.
    root["properties"]["global"] = {"type": "object"}
    for leaf in leaves:
        place = root
        for part in leaf.path[:-1]:
            place = place["properties"].setdefault(part, _branch())
        place["properties"][leaf.path[-1]] = _property(leaf)
    return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values", **root}


def table(leaves: list[Value]) -> str:
    """All values as the README's table, in Markdown."""
    rows = ["| Value | Default | What it is |", "| --- | --- | --- |"]
    for leaf in leaves:
        default = json.dumps(leaf.default, ensure_ascii=False)
        cells = (f"`{leaf.key}`", f"`{default}`", leaf.description)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows)


def generated(chart: Path) -> dict[Path, str]:
    """Path and content of every file that values.yaml decides."""
    leaves = list(values((chart / "values.yaml").read_text()))
    readme = chart / "README.md"
    before, _, rest = readme.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    return {
        chart / "values.schema.json": json.dumps(schema(leaves), indent=2) + "\n",
        readme: f"{before}{BEGIN}\n{table(leaves)}\n{END}{after}",
    }


def main(arguments: list[str]) -> str | None:
    """Nothing when all is well, else what to do, for `sys.exit`."""
    stale = {path: text for path, text in generated(CHART).items() if _differs(path, text)}
    if "--check" not in arguments:
        for path, text in stale.items():
            path.write_text(text)
    elif stale:
        return f"stale: {', '.join(path.name for path in stale)}; run python helm/generate.py"
    return None


def _differs(path: Path, text: str) -> bool:
    return not path.exists() or path.read_text() != text


def _branch() -> Json:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def _property(leaf: Value) -> Json:
    return {"description": leaf.description, "type": _type(leaf), **leaf.rules}


def _type(leaf: Value) -> str:
    if isinstance(leaf.default, list):
        return "array"
    if leaf.default is None and "type" not in leaf.rules:
        raise UndeclaredError(f"{leaf.key}: a null default needs `{SCHEMA}{{type: ...}}`")
    return TYPES.get(type(leaf.default), "null")


def _leaves(node: Any, lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    for key, child in node.value:
        here = (*path, key.value)
        comment = _comment_above(lines, key.start_mark.line)
        text = " ".join(line.removeprefix(DESCRIPTION) for line in comment if DESCRIPTION in line)
        rules = [line.removeprefix(SCHEMA) for line in comment if line.startswith(SCHEMA)]
        if text:
            default = yaml.safe_load(yaml.serialize(child))
            yield Value(here, default, text, yaml.safe_load(rules[0]) if rules else {})
        elif isinstance(child, yaml.MappingNode) and child.value:
            yield from _leaves(child, lines, here)
        else:
            line = key.start_mark.line + 1
            raise UndeclaredError(
                f"values.yaml:{line}: {'.'.join(here)} has no `{DESCRIPTION}` line"
            )


def _comment_above(lines: list[str], line: int) -> list[str]:
    first = line
    while first and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    return [text.strip() for text in lines[first:line]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
