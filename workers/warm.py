"""Compile what a worker runs before it owns a shard: compiling later would stall its leases.

`python -m workers.warm` compiles every kernel there is, for an image whose file system will
be read-only.
"""

import sys
from collections.abc import Sequence
from time import monotonic

import structlog

from indicators.declare import OPERATORS
from indicators.kernels import address
from streams.buffer import Receive, ReplyBuffer
from streams.decode import Decoder
from streams.keys import shard_of
from streams.records import Batch
from streams.symbols import SymbolTable
from workers.processor import advance
from workers.program import Program
from workers.settings import PlanSettings
from workers.state import ShardState

SLOW_S = 2.0
SYMBOL = "WARM"
NOON_NS = 1_763_812_800_000_000_000
SECOND_NS = 1_000_000_000
REPLY_BYTES_MAX = 1 << 20

logger = structlog.get_logger()


def warm(program: Program) -> float:
    """Run a few ticks through everything that `program` needs; returns the seconds it took."""
    started = monotonic()
    state = ShardState.new(program, SymbolTable(), dedupe_window=16)
    for batch in _ticks(state.symbols):
        advance(program, state, batch, now_ns=0)
    ShardState.load(state.save(program), symbols_max=16)
    took_s = monotonic() - started
    if took_s > SLOW_S:
        logger.info("kernels compiled", took_s=round(took_s, 1))
    return took_s


def _ticks(symbols: SymbolTable) -> Sequence[Batch]:
    """Ticks of two days, parsed from a reply as the server would send it."""
    entries = []
    for number in range(4):
        price, ts = 100 + number, NOON_NS + number * 43_200 * SECOND_NS
        fields = ("symbol", SYMBOL, "price", str(price), "size", "1.5", "ts", str(ts), "id", "7")
        flat = b"".join(b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in fields)
        entries.append(b"*2\r\n$3\r\n1-%d\r\n*%d\r\n%b" % (number, len(fields), flat))
    reply = b"".join(entries)
    buffer = ReplyBuffer(_once(reply), REPLY_BYTES_MAX)
    shard = str(shard_of(SYMBOL, 1))
    return Decoder(shard, symbols, shards=1).batches(buffer, len(entries))


def _once(reply: bytes) -> Receive:
    def receive(memory: memoryview) -> int:
        memory[: len(reply)] = reply
        return len(reply)

    return receive


def main() -> None:
    """Compile the kernel of every operator, and all that a batch goes through."""
    for number, operator in enumerate(OPERATORS.values(), start=1):
        address(operator)
        sys.stderr.write(f"\rcompiling kernels: {number} of {len(OPERATORS)}")
    warm(Program({"warm": PlanSettings(emit="forming", signals={"up": "close > open"})}))
    sys.stderr.write("\n")


if __name__ == "__main__":
    main()
