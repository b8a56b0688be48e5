"""Raw replies built by hand, and a buffer that brings them in pieces."""

from collections.abc import Callable, Sequence

from streams.buffer import ReplyBuffer
from streams.decode import ENTRY_BYTES_MAX, Decoder
from streams.records import Batch, Reject
from streams.symbols import SymbolTable

T0 = 1763823000123456789  # ns
ENTRY_ID = "1763823000200-0"


def bulk(data: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(data), data)


def entry(name: str, fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    flat = [part for pair in fields for part in pair]
    return b"*2\r\n" + bulk(name.encode()) + b"*%d\r\n" % len(flat) + b"".join(map(bulk, flat))


def flat(**fields: object) -> list[tuple[bytes, bytes]]:
    return [
        (name.encode(), value if isinstance(value, bytes) else str(value).encode())
        for name, value in fields.items()
    ]


def pieces(data: bytes, cut: int) -> Callable[[memoryview], int]:
    """A receive function that brings at most `cut` bytes a time, then hangs up."""
    at = 0

    def receive(room: memoryview) -> int:
        nonlocal at
        piece = data[at : at + min(cut, len(room))]
        room[: len(piece)] = piece
        at += len(piece)
        return len(piece)

    return receive


def decode(
    *entries: bytes, cut: int = 1 << 20, decoder: Decoder | None = None
) -> tuple[Batch, ...]:
    decoder = decoder or Decoder("0", SymbolTable(), shards=1)
    buffer = ReplyBuffer(pieces(b"".join(entries), cut), 2 * ENTRY_BYTES_MAX)
    return decoder.batches(buffer, len(entries))


def one(*, decoder: Decoder | None = None, **fields: object) -> Batch:
    (batch,) = decode(entry(ENTRY_ID, flat(**fields)), decoder=decoder)
    return batch


def rejected(*, decoder: Decoder | None = None, **fields: object) -> Reject:
    """The dead letter of an entry that is read twice: as the first of its symbol, and later."""
    decoder = decoder or Decoder("0", SymbolTable(), shards=1)
    good = entry(ENTRY_ID, flat(symbol="BTC-USD", price=1, ts=T0))
    bad = entry(ENTRY_ID, flat(**fields))
    (batch,) = decode(bad, good, bad, decoder=decoder)
    assert batch.entries == 3
    assert batch.rows == 1
    first, second = batch.rejects
    assert first == second
    return first
