"""The wake channel: a released shard, or a worker that leaves, is heard at once."""

from typing import Any

from streams.connection import Link, translation


class Bell:
    """Waits for a message on a channel, or for the time to pass."""

    def __init__(self, link: Link, channel: str) -> None:
        self._link, self._channel = link, channel
        self._subscription: Any = None

    def wait(self, seconds: float) -> None:
        """Return when somebody rang, or after `seconds`. Raises: Unavailable."""
        with translation():
            try:
                if self._subscription is None:
                    self._subscription = self._link.client.pubsub(ignore_subscribe_messages=True)
                    self._subscription.subscribe(self._channel)
                self._subscription.get_message(timeout=seconds)
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._subscription.close()
            self._subscription = None
