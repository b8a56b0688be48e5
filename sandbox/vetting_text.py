"""What the characters of a script may be, before anything parses it."""

import io
import re
import tokenize
from collections.abc import Iterator

CODING_LINES = 2  # Python reads a coding line only in the first two
CODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
UNWANTED = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters but tab and line ends
    "\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"  # unseen, directions, surrogates
)
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
    if not source.isascii():
        yield from _foreign_identifiers(source)


def _foreign_identifiers(source: str) -> Iterator[Mark]:
    """Names outside ASCII: the parser folds look-alikes (NFKC), so they are refused unread."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and not token.string.isascii():
                line, column = token.start
                yield "identifier", line, column + 1, f"Name {token.string!r}"
    except (tokenize.TokenError, SyntaxError):
        return  # the parser will say it better
