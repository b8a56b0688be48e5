"""A producer's ear: it reads how hard the load presses, and pauses accordingly."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

import orjson

from streams.connection import SERVER_ERRORS
from streams.keys import Keys
from streams.pace import Pace, delay_s, pace

READ_S = 0.25  # how often the pressure is read
AGE_S_MAX = 10.0  # what was written longer ago is unknown: nobody may be left to write it
FLEET = "fleet"  # the field that is of the whole fleet


class Heed:
    """The pace of one producer, by the pressure on the fleet and on its own shards."""

    def __init__(self, client: Any, keys: Keys, now: Callable[[], float]) -> None:
        self._client, self._key, self._now = client, keys.pressure, now
        self._read_at = float("-inf")
        self.pace = Pace()

    async def pause(self, shards: Collection[str], sending_s: float) -> None:
        """Wait so long that sending, with this pause, goes at the pace that is due."""
        now = self._now()
        if now - self._read_at >= READ_S:
            self._read_at = now
            self.pace = pace(self.pace, await self._level(shards), now)
        pause_s = delay_s(self.pace, sending_s)
        if pause_s > 0:
            await asyncio.sleep(pause_s)

    async def _level(self, shards: Collection[str]) -> int | None:
        """The highest level on the fleet and these shards, None while it is unknown."""
        names = [FLEET, *shards]
        try:
            told = await self._client.hmget(self._key, names)
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
