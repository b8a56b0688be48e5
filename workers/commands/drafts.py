"""A script as someone asks for it: vetted and built here, with its scope, not signed yet."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from sandbox.errors import JailFailed, SandboxError
from sandbox.limits import Limits
from sandbox.pool import JailPool
from sandbox.runner import Refused
from sandbox.script import Param, Script
from workers.commands.script import FAILED, print_report, source_of
from workers.scripting.deployment import Deployment
from workers.settings import Settings, TenantSettings


@dataclass(frozen=True)
class Scope:
    """Whose a script is, and what it is to see; without patterns all that the tenant may."""

    plan: str
    tenant: str
    symbols: tuple[str, ...]


def with_scope(command: Callable[..., None]) -> Callable[..., None]:
    """Give `command` the options of a scope: `plan`, `tenant`, `symbols`."""
    for option in (
        click.option(
            "--symbols", multiple=True, metavar="PATTERN", help="Less than all that the tenant may."
        ),
        click.option("--tenant", default="default", show_default=True, help="Whose it is."),
        click.option(
            "--plan", default="core", show_default=True, help="Whose bars and values it sees."
        ),
    ):
        command = option(command)
    return command


def draft(
    settings: Settings,
    pool: JailPool,
    name: str,
    file: Path,
    *,
    scope: Scope,
    params: dict[str, Param],
) -> Deployment:
    """The deployment of the script in `file`; ends the command where that is refused."""
    tenant = settings.scripts.tenants.get(scope.tenant, TenantSettings())
    script = Script(name, source_of(file), params, Limits(**tenant.limits))
    graph = _loaded(pool, script, file)
    try:
        return Deployment(
            fleet=settings.name,
            name=name,
            revision=0,
            tenant=scope.tenant,
            plan=scope.plan,
            symbols=scope.symbols or tenant.symbols,
            signals=tenant.signals,
            source=script.source,
            params=dict(script.params),
            limits=tenant.limits,
            style="imperative" if graph is None else "declarative",
            graph=graph,
        )
    except ValidationError as error:
        raise click.UsageError(f"script {name!r}: {error.errors()[0]['msg']}") from None


def _loaded(pool: JailPool, script: Script, file: Path) -> dict[str, Any] | None:
    """The graph of a declarative script; ends the command where it is refused."""
    try:
        runner = pool.load(script)
    except Refused as refused:
        print_report(file, refused.report, err=True)
        sys.exit(FAILED)
    except (JailFailed, SandboxError) as error:
        click.echo(f"{file}: {error}", err=True)
        sys.exit(FAILED)
    runner.close()
    return None if runner.declared is None else runner.declared.graph
