"""Retries that are capped and jittered."""

from random import SystemRandom

FIRST_S = 0.05
LONGEST_S = 2.0
JITTER = 0.5


class Backoff:
    """Pauses that double up to a cap, each shortened at random by up to half."""

    def __init__(self, *, longest_s: float = LONGEST_S) -> None:
        self._random, self._longest_s = SystemRandom(), longest_s
        self.reset()

    def reset(self) -> None:
        """Begin with short pauses again."""
        self._pause_s = FIRST_S

    def next_s(self) -> float:
        """The next pause in seconds."""
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, self._longest_s)
        return pause_s * (1 - JITTER * self._random.random())
