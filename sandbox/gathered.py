"""What a batch gave, gathered inside the jail, and how errors are put into words there."""

from array import array
from typing import Any

from sandbox.vetting import FILENAME
from sandbox.wire import NAME_CHARS_MAX, TEXT_CHARS_MAX


class Gathered:
    """What a batch gave: one number a row, and the rarer things as data."""

    def __init__(self) -> None:
        self.numbers = array("d")
        self.signals: list[list[Any]] = []
        self.signals_cut = 0
        self.outputs: list[list[Any]] = []
        self.errors: list[list[Any]] = []
        self.errors_total = 0
        self.log: list[list[Any]] = []
        self.log_dropped = 0
        self.limits: set[str] = set()

    def events(self) -> dict[str, Any]:
        """Everything but the numbers, empty parts left out."""
        parts = {name: value for name, value in vars(self).items() if name != "numbers" and value}
        if self.limits:
            parts["limits"] = sorted(self.limits)
        return parts


def script_line(error: BaseException) -> int:
    """The innermost line of the script that the error passed, 0 if none."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILENAME:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def plain(text: str) -> str:
    """The text as UTF-8 can carry it: half characters become question marks."""
    return text.encode("utf-8", "replace").decode()


def error_text(error: BaseException) -> str:
    """Type and message, short; the message of a stranger's exception may fail itself."""
    try:
        text = str(error)[:TEXT_CHARS_MAX]
    except BaseException:  # noqa: BLE001
        text = "(no message)"
    return plain(f"{type(error).__name__[:NAME_CHARS_MAX]}: {text}"[:TEXT_CHARS_MAX])
