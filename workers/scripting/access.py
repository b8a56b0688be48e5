"""Which tenant may deploy what: patterns in the settings, and nothing that they do not name."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from indicators.errors import IndicatorError
from sandbox.errors import SandboxError
from sandbox.graph import declared
from sandbox.limits import Limits
from workers.scripting.deployment import Deployment
from workers.settings import PlanSettings, TenantSettings

WILD = frozenset("*?[")


def refusal(
    asked: Deployment, tenants: Mapping[str, TenantSettings], plans: Mapping[str, PlanSettings]
) -> str | None:
    """Why this deployment is not allowed, or cannot run on its plan; None if neither."""
    tenant = tenants.get(asked.tenant)
    if tenant is None:
        return f"tenant {asked.tenant!r} is not in scripts.tenants"
    if asked.removed:
        return None
    if asked.plan not in plans:
        return f"there is no plan {asked.plan!r}"
    names = asked.graph["outputs"] if asked.graph is not None else ()
    wanted = (
        ("plans", [asked.plan], tenant.plans),
        ("symbols", asked.symbols, tenant.symbols),
        ("signals", asked.signals, tenant.signals),
    )
    for kind, patterns, allowed in wanted:
        beyond = [pattern for pattern in patterns if not within(pattern, allowed)]
        if beyond:
            return _beyond(asked, kind, beyond, allowed)
    unnamed = [name for name in names if not allows(name, asked.signals)]
    if unnamed:
        return _beyond(asked, "signals", unnamed, tenant.signals)
    if Limits(**asked.limits) != Limits(**tenant.limits):
        return f"its limits are not those of tenant {asked.tenant!r}"
    if asked.graph is not None:
        try:
            declared(asked.graph, Limits(**asked.limits)).plan(plans[asked.plan].timeframe)
        except (IndicatorError, SandboxError) as error:  # a later release may have put it
            return f"plan {asked.plan!r}: {error}"
    return None


def _beyond(asked: Deployment, kind: str, wanted: Sequence[str], allowed: Sequence[str]) -> str:
    where = f"scripts.tenants.{asked.tenant}.{kind}"
    return (
        f"tenant {asked.tenant!r} may not use {kind} {', '.join(wanted)}"
        f" ({where}: {', '.join(allowed) or 'none'})"
    )


def within(pattern: str, allowed: Sequence[str]) -> bool:
    """Whether all that `pattern` matches is allowed, as far as that can be told from the text."""
    if not WILD & set(pattern):
        return allows(pattern, allowed)
    return any(
        pattern == other
        or (other.endswith("*") and not WILD & set(other[:-1]) and pattern.startswith(other[:-1]))
        for other in allowed
    )


def allows(name: str, patterns: Sequence[str]) -> bool:
    """Whether a pattern matches the name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)
