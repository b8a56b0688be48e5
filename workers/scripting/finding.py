"""A script's state after its process was killed: found again by replay."""

from sandbox.errors import SandboxError
from streams.records import EntryId
from workers.run import ShardRun
from workers.scripting.bench import Bench
from workers.settings import WorkerSettings
from workers.state import ShardState
from workers.takeover import replay_decided


def find(
    run: ShardRun, name: str, upto: EntryId, settings: WorkerSettings, bench: Bench
) -> dict[int, bytes]:
    """A script's state as of an entry: by replay of its bars alone.

    Raises: SandboxError, StreamError.
    """
    snapshot = run.log.load_snapshot()
    assert snapshot is not None  # saved before a shard is processed for the first time
    program, state = ShardState.load(snapshot.payload, settings.symbols_max, bench.trust)
    state.scripts.of = {key: one for key, one in state.scripts.of.items() if key == name}
    twin = ShardRun(run.log, run.lease, program, state, host=bench.replaying())
    run.log.open(state.symbols)
    try:
        broken = replay_decided(twin, upto, settings, bench)
        broken |= {key: str(error) for key, error in twin.host.collect(state.scripts).items()}
        if name in broken or name not in state.scripts.of:
            raise SandboxError(broken.get(name, "it is not in the log any more"))
        return state.scripts.of[name].capsules
    finally:
        twin.host.close()
        run.log.open(run.state.symbols)
