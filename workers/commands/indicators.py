"""`fleet indicators`: the catalogue."""

from collections.abc import Mapping
from difflib import get_close_matches
from math import isfinite
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from indicators import CATALOGUE
from indicators.catalogue import Indicator
from indicators.describe import describe
from workers.commands.console import for_people
from workers.commands.options import json_option, with_settings
from workers.settings import Settings


@click.command()
@click.argument("name", required=False)
@json_option
@with_settings
def command(settings: Settings, name: str | None, as_json: bool) -> None:  # noqa: ARG001 - all take them
    """List the indicators, or say everything about one; --json gives one object a line."""
    chosen = list(CATALOGUE.values()) if name is None else [_find(name)]
    if as_json:
        for indicator in chosen:
            click.echo(orjson.dumps(describe(indicator)))
    elif name is None:
        _list(chosen, for_people())
    else:
        _show(describe(chosen[0]), for_people())


def _find(name: str) -> Indicator:
    if name not in CATALOGUE:
        near = get_close_matches(name, CATALOGUE)
        hint = f"; do you mean {', '.join(near)}?" if near else "; see `fleet indicators`"
        raise click.UsageError(f"no indicator is called {name!r}{hint}")
    return CATALOGUE[name]


def _list(chosen: list[Indicator], console: Console) -> None:
    table = Table(title=f"{len(chosen)} indicators", title_justify="left")
    for column in ("category", "call", "what"):
        table.add_column(column)
    for indicator in sorted(chosen, key=lambda it: (it.category, it.name)):
        table.add_row(indicator.category, indicator.usage, indicator.summary)
    console.print(table)


def _show(about: Mapping[str, Any], console: Console) -> None:
    console.print(Text(about["usage"], style="bold"))
    console.print(f"{about['summary']}\n")
    for key, value in about.items():
        if key in {"usage", "summary", "description"} or value in (None, "", []):
            continue
        if isinstance(value, float) and not isfinite(value):
            value = "for ever"
        if isinstance(value, list) and value and isinstance(value[0], dict):
            console.print(f"{key}:")
            for item in value:
                console.print(
                    "  " + "  ".join(f"{k} {v}" for k, v in item.items() if v is not None)
                )
        else:
            console.print(f"{key}: {value}")
