"""Weighs a shard's lag now and then, and writes what is decided before it takes effect."""

from collections.abc import Sequence
from dataclasses import asdict
from time import monotonic

import orjson
import structlog

from streams.connection import Link, translation
from streams.keys import Keys
from streams.records import Decision
from workers.program import Program
from workers.run import ShardRun
from workers.scripting.state import Scripts
from workers.settings import SheddingSettings
from workers.shedding import (
    GIVES_UP,
    Objective,
    Shedding,
    Tier,
    decide,
    runs_plan,
    runs_script,
)
from workers.takeover import shed

CLOCK_SLACK_MS = 60_000  # by which the clocks of two servers of a cluster may differ
LEDGER_MAX = 100_000

logger = structlog.get_logger()


class Shedder:
    """Decides for every shard of one worker.

    A decision is an entry of the shard's own log, `shed:{n}`, with the tick entry behind which it
    holds, so that every replay agrees. At the end of the tick stream it would take effect only
    after the backlog that caused it.
    """

    def __init__(self, link: Link, keys: Keys, settings: SheddingSettings) -> None:
        self._link, self._keys, self._settings = link, keys, settings

    def weigh(self, run: ShardRun, lag_s: float | None) -> None:
        """Go a tier up or down where the lag asks for it; nothing may wait for its commit.

        Raises: Fenced, Unavailable.
        """
        now = monotonic()
        if run.shedding is None:
            self._complete(run)
        before = run.shedding or Shedding(tier=run.state.shedding.tier, weighed_s=now)
        run.shedding = decide(
            before,
            lag_s,
            now,
            shed=run.state.shedding.shed,
            objective=self._objective(run),
        )
        if run.shedding.tier != before.tier:
            try:
                self._write(run, before.tier, run.shedding)
            except BaseException:
                run.shedding = before
                raise

    def _objective(self, run: ShardRun) -> Objective:
        settings = self._settings
        useful = tier_useful(run.program, settings.low_symbols, run.state.scripts)
        return Objective(
            lag_s=settings.lag_s,
            enter_s=settings.enter_s,
            dwell_s=settings.dwell_s,
            calm_s=settings.calm_s,
            tier_max=min(Tier(settings.tier_max), useful),
        )

    def _write(self, run: ShardRun, ended: Tier, now: Shedding) -> None:
        low = self._settings.low_symbols if now.tier == Tier.TICKS else ()
        payload = orjson.dumps(
            {
                "tier": int(now.tier),
                "reason": now.reason,
                "low": low,
                "ended": int(ended),
                "shed": asdict(now.shed),
            }
        )
        after = run.state.upto
        entry = run.log.add_shed(run.lease.fence, after, payload)
        decision = Decision(entry, after, payload)
        shed(run, decision)
        logger.warning(
            "shedding changed",
            shard=run.shard,
            tier=int(now.tier),
            gives_up=GIVES_UP[now.tier],
            reason=now.reason,
        )
        self._record(run.shard, decision)

    def _record(self, shard: str, decision: Decision) -> None:
        """Write what the ended tier gave up to the ledger of the fleet."""
        told = orjson.loads(decision.payload)
        record = {
            "shard": shard,
            "decision": str(decision.entry),
            "tier": told["ended"],
            "next": told["tier"],
            "until": str(decision.after),
            "reason": told["reason"],
            **told["shed"],
        }
        with translation():
            self._link.client.xadd(self._keys.ledger, record, maxlen=LEDGER_MAX)

    def _complete(self, run: ShardRun) -> None:
        """Let the ledger tell of the decisions that hold, and of no other.

        The author of the newest may have died before it wrote its record; one that a failover
        undid never was.
        """
        newest = run.log.newest_shed_decision()
        told = [*run.undone, *([newest.entry] if newest is not None else [])]
        if not told:
            return
        since = max(0, min(told).ms - CLOCK_SLACK_MS)
        shard, undone = run.shard.encode(), {str(entry).encode() for entry in run.undone}
        with translation():
            later = self._link.client.xrange(self._keys.ledger, since, "+")
            ours = {at: one[b"decision"] for at, one in later if one[b"shard"] == shard}
            wrong = [at for at, decision in ours.items() if decision in undone]
            if wrong:
                self._link.client.xdel(self._keys.ledger, *wrong)
        if newest is not None and str(newest.entry).encode() not in ours.values():
            self._record(run.shard, newest)
        run.undone = []


def tier_useful(program: Program, low_symbols: Sequence[str], scripts: Scripts) -> Tier:
    """The highest tier that would give anything up for this program and these scripts."""
    if low_symbols:
        return Tier.TICKS
    for plan in program.plans:
        suspends = not runs_script(Tier.PLANS, plan.priority) and scripts.hear(plan.name)
        if suspends or not runs_plan(Tier.PLANS, plan.priority):
            return Tier.PLANS
    forms = any(plan.feed.forming_ns is not None for plan in program.plans)
    return Tier.FORMING if forms else Tier.NOTHING
