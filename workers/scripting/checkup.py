"""What is wrong with the scripts of a fleet, or with this machine as a place to run them."""

from collections.abc import Iterator

from sandbox.errors import SandboxUnavailable
from sandbox.lockdown import check_machine
from streams.connection import Link
from streams.keys import Keys
from workers.doctor import Finding
from workers.scripting.access import refusal
from workers.scripting.deployment import Trust, Untrusted, opened
from workers.scripting.registry import Registry
from workers.scripting.state import QUARANTINED
from workers.settings import Settings, SettingsError


def examine_scripts(link: Link, settings: Settings) -> Iterator[Finding]:
    """Look at the key, at this machine, and at every script that is deployed."""
    registry = Registry(link, Keys(settings.name))
    heads = registry.heads()
    try:
        key = settings.scripts.signing_key()
        if key is None:
            if heads:
                yield Finding(
                    "warning",
                    f"there is no scripts.key, and {len(heads)} scripts were deployed",
                    "give every worker the key, or none of them is run",
                )
            return
        check_machine(landlock_required=settings.scripts.landlock_required)
    except SettingsError as error:
        yield Finding("error", str(error), "give every worker and every deployer the same key")
        return
    except SandboxUnavailable as error:
        yield Finding("error", str(error), "a worker here does not start while there is a key")
    found = [
        finding
        for name, sealed in heads.items()
        for finding in _script(registry, settings, Trust(key, settings.name), name, sealed)
    ]
    yield from found or [Finding("ok", f"scripts: {len(heads)} were deployed")]


def _script(
    registry: Registry, settings: Settings, trust: Trust, name: str, sealed: bytes
) -> Iterator[Finding]:
    try:
        head = opened(trust, sealed)
    except Untrusted as error:
        yield Finding("error", f"script {name}: {error}", "put it again, with the key of all")
        return
    if head.removed:
        return
    reason = refusal(head, settings.scripts.tenants, settings.plans)
    if reason is not None:
        yield Finding("error", f"script {name}: {reason}", "put it again, or change the settings")
    states = registry.status(name)
    if not states:
        advice = f"is a worker with the key running? `fleet script log {name}` may say more"
        yield Finding("warning", f"script {name} is on no shard", advice)
    for shard, said in states.items():
        if said["status"] == QUARANTINED:
            what = f"script {name} is in quarantine on shard {shard}: {said['reason']}"
            yield Finding("warning", what, "mend it and put it again")
