"""A worker's wake channel: a shard that was released for it, or another part, is heard at once."""

from typing import Any, NamedTuple

import orjson

from streams.connection import Link, translation


class Released(NamedTuple):
    """A shard that its owner gave up, and for whom; no shard where there is other news."""

    shard: str = ""
    successor: str = ""


class Bell:
    """Waits for a message on a channel, or for the time to pass."""

    def __init__(self, link: Link, channel: str) -> None:
        self._link, self._channel = link, channel
        self._subscription: Any = None

    def wait(self, seconds: float) -> Released | None:
        """What was released, as soon as it is, or None after `seconds`. Raises: Unavailable."""
        with translation():
            try:
                if self._subscription is None:
                    self._subscription = self._link.client.pubsub(ignore_subscribe_messages=True)
                    self._subscription.subscribe(self._channel)
                return _read(self._subscription.get_message(timeout=seconds))
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None


def _read(message: Any) -> Released | None:
    if message is None:
        return None
    try:
        told = orjson.loads(message["data"])
        return Released(told["shard"], told["next"])
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return Released()  # the name of a worker that left, or has told what is to be done
