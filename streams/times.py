"""Times as text: RFC 3339 down to the nanosecond, which datetime alone would cut off."""

import re
from datetime import UTC, datetime

from streams.errors import Malformed
from streams.numbers import FIRST_NS, LAST_NS, shown

RFC3339 = re.compile(
    r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,18}))?(Z|[+-]\d{2}:\d{2})?", re.ASCII
)
NS_PER_S = 1_000_000_000


def iso_ns(text: str, field: str) -> int:
    """The time in ns since the epoch, UTC where no zone is given; raises Malformed."""
    wanted = "RFC 3339, 2001 to 2262"
    found = RFC3339.fullmatch(text)
    if found:
        whole, fraction, zone = found.groups()
        try:
            moment = datetime.fromisoformat(whole + (zone or "Z")).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Malformed(f"{field}: got {shown(text)}, wanted {wanted}") from None
        ns = int(moment.timestamp()) * NS_PER_S + int((fraction or "")[:9].ljust(9, "0"))
        if FIRST_NS <= ns <= LAST_NS:
            return ns
    raise Malformed(f"{field}: got {shown(text)}, wanted {wanted}")
