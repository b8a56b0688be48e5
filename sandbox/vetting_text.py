"""What the characters of a script may be, before anything parses it."""

import re
import unicodedata
from collections.abc import Container, Iterator

CODING_LINES = 2  # Python reads a coding line only in the first two
CODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab and line ends
    "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"  # unseen, directions, surrogates
)
WORD = re.compile(r"\w+")
Mark = tuple[str, int, int, str]  # rule, line, column, what was seen


def text_marks(source: str, bytes_max: int) -> Iterator[Mark]:
    """What is wrong with the text, each with its place; nothing if it may be parsed."""
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > bytes_max:
        yield "size", 0, 0, f"The script has {size} bytes, source_bytes_max is {bytes_max}"
        return
    for number, line in enumerate(source.split("\n"), 1):
        found = UNWANTED.search(line)
        if found:
            yield "text", number, found.start() + 1, f"Character U+{ord(found.group()):04X}"
        coding = CODING.match(line) if number <= CODING_LINES else None
        if coding and coding.group(1).lower() not in ("utf-8", "utf8"):
            yield "encoding", number, 1, f"Encoding {coding.group(1)!r}"


def foreign_identifiers(source: str, words: Container[str]) -> Iterator[Mark]:
    """Places of the names in `words`, as the parser sees them, that are not written in ASCII.

    The parser folds look-alikes (NFKC), so the text and the name it stands for may differ.
    """
    if source.isascii():
        return
    for number, line in enumerate(source.split("\n"), 1):
        for found in WORD.finditer(line):
            text = found.group()
            if not text.isascii() and unicodedata.normalize("NFKC", text) in words:
                yield "identifier", number, found.start() + 1, f"Name {text!r}"
