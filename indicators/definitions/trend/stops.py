"""Where a trend ends."""

from typing import NamedTuple

from indicators.bounds import Positive
from indicators.catalogue import indicator
from indicators.definitions.shared import NOTHING
from indicators.operators import choose, parabolic
from indicators.series import CLOSE, HIGH, LOW, Series


class Psar(NamedTuple):
    """The stop below the price, the stop above it, its factor, and whether it turned."""

    long: Series
    short: Series
    factor: Series
    reversal: Series


def _psar_columns(af0: float | None, af: float, max_af: float) -> tuple[str, ...]:
    start = af if af0 is None else af0
    return tuple(f"PSAR{part}_{start}_{max_af}" for part in ("l", "s", "af", "r"))


@indicator(columns=_psar_columns)
def psar(
    high: Series = HIGH,
    low: Series = LOW,
    close: Series = CLOSE,
    af0: Positive | None = None,
    af: Positive = 0.02,
    max_af: Positive = 0.2,
) -> Psar:
    """Wilder's parabolic stop and reversal, set out from the first close.

    As in pandas-ta the factor grows by `af0`, which is `af` where it is not given.
    Unit: unit of high
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    step = af if af0 is None else af0
    stop, falling, factor, reversal = parabolic(high, low, close, step, step, max_af)
    long, short = choose(falling, NOTHING, stop), choose(falling, stop, NOTHING)
    return Psar(long, short, factor, reversal)
