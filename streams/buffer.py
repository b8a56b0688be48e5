"""Bytes of a reply as they come in, in one array that kernels read and that stays bounded."""

from collections.abc import Callable

import numpy as np

from streams.errors import Unavailable
from streams.symbols import PAD

START_BYTES = 1 << 18
CRLF = b"\r\n"
LINE_BYTES_MAX = 1 << 12

type Receive = Callable[[memoryview], int]
"""Fill a part of the memory, wait for at least one byte; 0 when the other side has gone."""


class ReplyBuffer:
    """A window [start, end) of unread bytes over an array that grows to at most `bytes_max`."""

    def __init__(self, receive: Receive, bytes_max: int) -> None:
        self._receive, self._bytes_max = receive, bytes_max
        self._hold(bytearray(START_BYTES + PAD))
        self.start = self.end = 0

    def _hold(self, memory: bytearray) -> None:
        """Let the window be over this memory: kernels see it as `data`."""
        self._memory, self._view = memory, memoryview(memory)
        self.data = np.frombuffer(memory, np.uint8)

    def fill(self) -> None:
        """Wait for more bytes; raises Unavailable when none can come."""
        if self.start == self.end:
            self.start = self.end = 0
        elif self.end == self._room():
            self._make_room()
        received = self._receive(self._view[self.end : self._room()])
        if received == 0:
            raise Unavailable("the server closed the connection in the middle of a reply")
        self.end += received

    def await_some(self) -> None:
        """Wait until there is something to read."""
        if self.start == self.end:
            self.fill()

    def line(self) -> bytes:
        """The next line, without its end."""
        while (stop := self._memory.find(CRLF, self.start, self._line_end())) < 0:
            if self.end - self.start > LINE_BYTES_MAX:
                raise Unavailable("the reply is not RESP: a line without an end")
            self.fill()
        line = self.peek(self.start, stop)
        self.start = stop + len(CRLF)
        return line

    def _line_end(self) -> int:
        """Where the search for the end of a line ends."""
        return min(self.end, self.start + LINE_BYTES_MAX)

    def take(self, size: int) -> bytes:
        """The next `size` bytes, which must not exceed `bytes_max`."""
        while self.end - self.start < size:
            self.fill()
        taken = self.peek(self.start, self.start + size)
        self.start += size
        return taken

    def peek(self, start: int, stop: int) -> bytes:
        """Bytes of the array, copied."""
        return bytes(self._view[start:stop])

    def skip(self, size: int) -> None:
        """Pass over `size` bytes, however many, without keeping them."""
        while self.end - self.start < size:
            size -= self.end - self.start
            self.start = self.end
            self.fill()
        self.start += size

    def _room(self) -> int:
        return len(self.data) - PAD

    def _make_room(self) -> None:
        """Move the unread bytes to the front; to a larger array if they fill half of this one."""
        held = self.end - self.start
        if held >= self._bytes_max:
            raise Unavailable(f"the reply holds more than {self._bytes_max} bytes in one piece")
        unread = self.peek(self.start, self.end)
        if 2 * held > self._room():
            self._hold(bytearray(min(2 * self._room(), 2 * self._bytes_max) + PAD))
        self._view[:held] = unread
        self.start, self.end = 0, held
