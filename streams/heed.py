"""A producer's ear: it reads how hard the load presses, and pauses accordingly."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from time import monotonic
from typing import Any

import orjson

from streams.connection import SERVER_ERRORS
from streams.keys import Keys, shard_name
from streams.pace import DELAY_S_MAX, WINDOW_ROWS_MAX, Pace, Window, delay_s, pace
from streams.records import EntryId

READ_S = 0.25  # how often the pressure is read
LOOK_S = 0.01  # between two looks at what the fleet has done, while too much is on its way
AGE_S_MAX = 10.0  # what was written longer ago is unknown: nobody may be left to write it
FLEET = "fleet"  # the field that is of the whole fleet


class Heed:
    """The pace of one producer, by the pressure on the fleet and by how it does what was sent."""

    def __init__(self, client: Any, keys: Keys, now: Callable[[], float]) -> None:
        self._client, self._keys, self._now = client, keys, now
        self._read_at = float("-inf")
        self._lives = False  # whether anybody tells a level
        self.pace, self.window = Pace(), Window()

    async def pause(self, sent: Mapping[str, EntryId], rows: int, sending_s: float) -> None:
        """Wait until no more is on its way than may be, and as the pressure asks for.

        `sent` is the newest entry of each tick stream, `rows` what was sent now, in `sending_s`.
        Never for longer than a few seconds: what comes next shows whether the pressure is gone.
        """
        self.window.send(rows, sent, monotonic())
        await self.room(sent)
        deadline = monotonic() + DELAY_S_MAX
        while self._lives and self.window.rows > self.window.rows_max and monotonic() < deadline:
            await self._catch_up(sent)
            if self.window.rows > self.window.rows_max:
                await asyncio.sleep(LOOK_S)
        pause_s = delay_s(self.pace, sending_s)
        if pause_s > 0:
            await asyncio.sleep(pause_s)

    async def room(self, sent: Mapping[str, EntryId]) -> int:
        """Rows that may be sent in one go: any number where no fleet is alive to do them."""
        now = self._now()
        if now - self._read_at >= READ_S:
            self._read_at = now
            level = await self._level([shard_name(key) for key in sent])
            self.pace, self._lives = pace(self.pace, level, now), level is not None
            await self._catch_up(sent)
        return self.window.rows_max if self._lives else WINDOW_ROWS_MAX

    async def _catch_up(self, sent: Mapping[str, EntryId]) -> None:
        """See what the fleet has done with what was sent."""
        if not self._lives:
            self.window.forget()
            return
        pipe = self._client.pipeline(transaction=False)
        for key in sent:
            pipe.hget(self._keys.shard(shard_name(key)), "cursor")
        try:
            found = await pipe.execute()
        except SERVER_ERRORS:
            self.window.forget()
            return
        cursors = {
            key: EntryId.parse(at) for key, at in zip(sent, found, strict=True) if at is not None
        }
        self.window.arrive(cursors, monotonic())

    async def _level(self, shards: Collection[str]) -> int | None:
        """The highest level on the fleet and these shards, None while it is unknown."""
        names = [FLEET, *shards]
        try:
            told = await self._client.hmget(self._keys.pressure, names)
        except SERVER_ERRORS:
            return None
        levels = [self._fresh(one) for one in told if one is not None]
        return max((level for level in levels if level is not None), default=None)

    def _fresh(self, told: bytes) -> int | None:
        try:
            about = orjson.loads(told)
            level, at_s = int(about["level"]), int(about["at_ms"]) / 1_000
        except (ValueError, TypeError, KeyError):
            return None
        return level if abs(self._now() - at_s) <= AGE_S_MAX else None
