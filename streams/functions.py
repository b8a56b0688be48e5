"""The server-side library: its source, its version, its names, its answers."""

from hashlib import blake2b
from importlib.resources import files

import redis

from streams.errors import Fenced, Held, Refused, Stale, StreamError, Unavailable

PLACEHOLDER = "@VERSION@"
NAMES = ("acquire", "renew", "release", "commit", "trim", "append", "stow", "seal")


class Library:
    """One version of the functions; two versions live side by side on a server.

    The version is a digest of the source, so that equal names always mean equal functions.
    """

    def __init__(self, template: str) -> None:
        self.version = blake2b(template.encode(), digest_size=4).hexdigest()
        self.source = template.replace(PLACEHOLDER, self.version)

    def name(self, function: str) -> str:
        """The name that a function of this version has on the server."""
        assert function in NAMES
        return f"fleet_{self.version}_{function}"

    def load(self, client: "redis.Redis") -> None:
        """Make sure that one server has this version."""
        try:
            client.function_load(self.source)
        except redis.ResponseError as error:
            if "already exists" not in str(error):
                raise


LIBRARY = Library(files("streams").joinpath("functions.lua").read_text())

TRANSIENT = (
    "BUSY",
    "CLUSTERDOWN",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "UNBLOCKED",
    "UNKILLABLE",
)
MISSING = "Function not found"


def server_error(text: str) -> StreamError:
    """The error that an error reply of the server is."""
    if (
        text.startswith(TRANSIENT)
        or MISSING in text
        or "command not allowed when used memory" in text
    ):
        return Unavailable(f"the server answered: {text}")
    return Refused(f"the server answered: {text}")


def answer(reply: bytes, shard: str) -> list[str]:
    """The words of a good answer; raises what a bad one means for that shard."""
    word, _, rest = reply.decode("utf-8", "backslashreplace").partition(" ")
    if word in ("OK", "DUP", "OLD", "GROUPS"):
        return [word, *rest.split(" ")]
    raise refusal(word, rest, shard)


def refusal(word: str, rest: str, shard: str) -> StreamError:
    """The error that a function's refusal is."""
    first, _, second = rest.partition(" ")
    if word == "HELD":
        text = f"shard {shard}: {second} holds it for {first} ms more"
        return Held(text, owner=second, wait_ms=int(first))
    if word == "FENCED":
        return Fenced(f"shard {shard}: fence {first} is with {second or 'nobody'} now")
    if word == "STALE":
        return Stale(f"shard {shard}: the cursor is at {rest}")
    if word == "SEQ":
        return Stale(f"shard {shard}: {first} signals and {second} values are published")
    if word == "TYPE":
        return Refused(f"shard {shard}: key, its type, the wanted type: {rest}")
    return Refused(f"shard {shard}: {word} {rest}")
