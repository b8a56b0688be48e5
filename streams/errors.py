"""What can go wrong between a worker and Redis; each class says what the caller does next."""


class StreamError(Exception):
    """Root of everything that `streams` raises on purpose."""


class Unavailable(StreamError):
    """The server cannot be reached or cannot serve now. Retry with backoff."""


class Held(StreamError):
    """Another worker's lease is still running. Wait `wait_ms`, or for the wake channel."""

    def __init__(self, message: str, *, owner: str, wait_ms: int) -> None:
        super().__init__(message)
        self.owner, self.wait_ms = owner, wait_ms


class Fenced(StreamError):
    """Another worker holds this shard. Drop its state and rejoin."""


class Stale(StreamError):
    """The shard's cursor is not where this state ends. Drop the state and load it again."""


class Malformed(StreamError):
    """This entry can never be read. Set it aside and go on."""


class Refused(StreamError):
    """The server or its data forbid it: permissions, a key of another type. Someone must act."""
