"""`fleet script put`, `list`, `show`, `log`, `rm`, `rollback`: scripts of a running fleet."""

import getpass
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from streams.keys import Keys
from workers.commands.drafts import Scope, draft, with_scope
from workers.commands.options import json_option, with_settings
from workers.commands.script import command, open_pool, params_of
from workers.connection import linked
from workers.errors import FleetError
from workers.scripting.access import refusal
from workers.scripting.deployment import Deployment, Trust, Untrusted, opened
from workers.scripting.lifecycle import scope
from workers.scripting.registry import Registry
from workers.settings import Settings, SettingsError

MS_PER_S = 1_000
NOWHERE = "on no shard yet (was it refused? see `fleet script log`)"


@dataclass(frozen=True)
class Office:
    """A deployer with the key, at the registry."""

    settings: Settings
    key: bytes
    registry: Registry

    @property
    def trust(self) -> Trust:
        """Whose deployments are ours."""
        return Trust(self.key, self.settings.name)

    def head(self, name: str) -> Deployment | None:
        """The newest deployment of a script, None where it was never put or was removed."""
        sealed = self.registry.head(name)
        return None if sealed is None else self.read(sealed)

    def read(self, sealed: bytes) -> Deployment | None:
        """The deployment, None for one that was removed, or that another key signed: not ours."""
        try:
            deployment = opened(self.trust, sealed)
        except Untrusted:
            return None
        return None if deployment.removed else deployment

    def publish(self, deployment: Deployment, action: str) -> Deployment:
        """Sign and publish with a new revision, if the tenant may; every answer is on record."""
        by, head = user_name(), self.head(deployment.name)
        reason = refusal(deployment, self.settings.scripts.tenants, self.settings.plans)
        if head is not None and head.tenant != deployment.tenant:
            reason = f"script {deployment.name} belongs to tenant {head.tenant!r}"
        if reason is not None:
            self.registry.audit("refused", reason, scope(deployment), by=by)
            raise FleetError(f"refused: {reason}")
        revision = self.registry.next_revision(deployment.name)
        made = deployment.model_copy(update={"revision": revision})
        self.registry.publish(made, made.sealed(self.key), action=action, by=by)
        self.registry.audit(action, "", scope(made), by=by)
        return made


@contextmanager
def office(settings: Settings) -> Iterator[Office]:
    """The registry, for someone who has the key. Raises: SettingsError, Unavailable."""
    key = settings.scripts.signing_key()
    if key is None:
        raise SettingsError("scripts.key: set it, or scripts.key_file; without it nothing is run")
    with linked(settings.redis) as link:
        yield Office(settings, key, Registry(link, Keys(settings.name)))


@command.command()
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@with_scope
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="A parameter.")
@with_settings
def put(settings: Settings, name: str, file: Path, params: tuple[str, ...], **scope: Any) -> None:
    """Deploy FILE as the script NAME: vetted here, signed, run by every shard from now on."""
    with open_pool(settings) as pool:
        asked = draft(settings, pool, name, file, scope=Scope(**scope), params=params_of(params))
    with office(settings) as desk:
        made = desk.publish(asked, "put")
    click.echo(f"{made.source_name} put, revision {made.revision} ({made.style})")


@command.command("list")
@json_option
@with_settings
def list_all(settings: Settings, as_json: bool) -> None:
    """Show every script that is deployed."""
    with office(settings) as desk:
        found = [desk.read(sealed) for sealed in desk.registry.heads().values()]
        rows = [_summary(desk, head) for head in found if head is not None]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        states = ", ".join(f"{count} {state}" for state, count in row["shards"].items())
        click.echo(
            f"{row['script']}@{row['digest']} revision {row['revision']} {row['style']}"
            f" tenant={row['tenant']} plan={row['plan']}: {states or NOWHERE}"
        )


def _summary(desk: Office, head: Deployment) -> dict[str, Any]:
    states: dict[str, int] = {}
    for said in desk.registry.status(head.name).values():
        state = str(said["status"])
        if said["digest"] != head.digest:  # this version was refused there, or taken back
            state += f" as {said['digest']}"
        states[state] = states.get(state, 0) + 1
    return {**scope(head), "style": head.style, "shards": states}


@command.command()
@click.argument("name")
@click.option("--source", is_flag=True, help="Print the source and nothing else.")
@json_option
@with_settings
def show(settings: Settings, name: str, source: bool, as_json: bool) -> None:
    """Show a script: its scope, its versions, how it fares on each shard and what it costs."""
    with office(settings) as desk:
        head = desk.head(name)
        if head is None:
            raise FleetError(f"there is no script {name}")
        history, status = desk.registry.history(name), desk.registry.status(name)
    if source:
        click.echo(head.source, nl=False)
        return
    if as_json:
        about = {"style": head.style, "params": head.params, "limits": head.limits}
        done = [{"at": _when(at), **entry} for at, entry in history]
        click.echo(json.dumps({**scope(head), **about, "history": done, "shards": status}))
        return
    for field, value in {**scope(head), "style": head.style, "params": head.params}.items():
        click.echo(f"{field:9} {value}")
    for at, entry in history:
        click.echo(
            f"revision {entry['revision']} {_when(at)} {entry['action']} by {entry['by']}"
            f" {entry.get('digest', '')}"
        )
    if not status:
        click.echo(NOWHERE)
    for shard, said in status.items():
        click.echo(
            f"shard {shard}: {said['status']} {said['digest']}, {said['bars']} bars,"
            f" {said['cpu_s']} s CPU, {said['strikes']} strikes {said['reason']}"
        )


@command.command("log")
@click.argument("name")
@click.option("--count", default=100, show_default=True, type=click.IntRange(1, 1_000))
@json_option
@with_settings
def log_lines(settings: Settings, name: str, count: int, as_json: bool) -> None:
    """Show what a script printed, where it failed, and when it was cut."""
    with office(settings) as desk:
        lines = desk.registry.lines(name, count)
        if not lines and not desk.registry.history(name):
            raise FleetError(f"there is no script {name}")
    for at, line in lines:
        if as_json:
            click.echo(json.dumps({"at": _when(at), **line}))
        else:
            click.echo(f"{_when(at)} {line['symbol']} {line['ts']} {line['text']}")


@command.command("rm")
@click.argument("name")
@with_settings
def remove(settings: Settings, name: str) -> None:
    """Take the script NAME out of service; its versions are kept for a rollback."""
    with office(settings) as desk:
        head = desk.head(name)
        if head is None:
            raise FleetError(f"there is no script {name}")
        gone = desk.publish(
            Deployment(fleet=head.fleet, name=name, revision=0, tenant=head.tenant, removed=True),
            "rm",
        )
    click.echo(f"{name} removed, revision {gone.revision}")


@command.command()
@click.argument("name")
@click.option("--to", "digest", help="The version.  [default: the one before]")
@with_settings
def rollback(settings: Settings, name: str, digest: str | None) -> None:
    """Put an earlier version of NAME back into service."""
    with office(settings) as desk:
        wanted = digest or _before(desk, name)
        version = desk.registry.version(desk.trust, name, wanted)
        tenant = settings.scripts.tenants.get(version.tenant)
        limits = version.limits if tenant is None else tenant.limits
        content = {**version.model_dump(), "limits": limits}
        made = desk.publish(Deployment.model_validate(content), "rollback")
    click.echo(f"{made.source_name} put back, revision {made.revision}")


def _before(desk: Office, name: str) -> str:
    """The version that was in service before the newest."""
    digests = [entry["digest"] for _, entry in desk.registry.history(name) if "digest" in entry]
    head = desk.head(name)
    current = None if head is None else head.digest
    earlier = [digest for digest in digests if digest != current]
    if not earlier:
        raise FleetError(f"script {name} has no earlier version")
    return earlier[-1]


def user_name() -> str:
    """Who runs this command: the user of a pod may have a number and no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def _when(entry: str) -> str:
    at_s = int(entry.partition("-")[0]) / MS_PER_S
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds")
