"""What a shard leaves behind it: snapshots of its state, and streams cut to their retention."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from time import monotonic

import structlog

from streams.errors import StreamError
from streams.records import Decided, EntryId, Keep, Snapshot
from workers.accounts import Accounts
from workers.run import ShardRun
from workers.scripting.keeper import ScriptKeeper
from workers.settings import Settings

TRIM_EVERY_S = 10.0
SNAPSHOT_ENTRIES = 200_000  # so many entries of replay, about a second of it, make a snapshot due
PART_S_MAX = 5.0  # what a shard waits for its last snapshot: then there is more to replay
MS_PER_S = 1_000

logger = structlog.get_logger()


class Snapshots:
    """Saves the shards of a data plane, whose thread alone may ask for it."""

    def __init__(
        self, settings: Settings, accounts: Accounts, background: Executor, keeper: ScriptKeeper
    ) -> None:
        self._worker, self._retention = settings.worker, settings.retention
        self._accounts, self._background, self._keeper = accounts, background, keeper

    def save_if_due(self, run: ShardRun) -> None:
        """Save the shard when there is much to replay, or it is long ago."""
        news = run.state.entries - run.snapshot_entries
        old = monotonic() - run.snapshot_at > self._worker.snapshot_s
        if not run.uploading and (old or news >= SNAPSHOT_ENTRIES):
            self._begin(run)

    def parted(self, run: ShardRun) -> bool:
        """Whether there is little to replay for the next owner.

        The first call has the shard saved, which is processed all the same until that is done.
        """
        if run.parting_at is None:
            if run.uploading:
                return False
            run.parting_at = monotonic()
            return not self._begin(run)
        return not run.uploading or monotonic() - run.parting_at > PART_S_MAX

    def _begin(self, run: ShardRun) -> bool:
        """Hand a copy to the background, to pack and store; whether there was news to save."""
        if run.state.entries == run.snapshot_entries or not self._keeper.collected(run):
            return False
        run.snapshot_at, run.snapshot_entries, run.uploading = monotonic(), run.state.entries, True
        self._background.submit(self._upload, run, run.copied(), run.decided)
        return True

    def save(self, run: ShardRun) -> None:
        """Save the shard now, where its scripts can be collected. Raises: Unavailable, Fenced."""
        if self._keeper.collected(run):
            run.log.save_snapshot(run.lease.fence, run.capsule())

    def keeps(self, run: ShardRun, now_ms: int) -> Sequence[Keep]:
        """What bounds the outputs now and then: trimming costs, and need not be exact."""
        if monotonic() - run.trimmed_at < TRIM_EVERY_S:
            return ()
        run.trimmed_at = monotonic()
        kept = self._retention
        return [
            Keep(EntryId(max(now_ms - int(seconds * MS_PER_S), 0), 0), kept.entries_max)
            for seconds in (kept.signals_s, kept.values_s, kept.deadletters_s)
        ]

    def _upload(self, run: ShardRun, copied: Callable[[], Snapshot], decided: Decided) -> None:
        try:
            began, capsule = monotonic(), copied()
            run.log.save_snapshot(run.lease.fence, capsule)
            self._accounts.snapshotted(run.shard, capsule, monotonic() - began)
            retention_ms = int(self._retention.ticks_s * MS_PER_S)
            run.log.trim(run.lease.fence, retention_ms=retention_ms, decided=decided)
        except StreamError as error:
            logger.warning("snapshot not saved", shard=run.shard, reason=str(error))
        finally:
            run.uploading = False
