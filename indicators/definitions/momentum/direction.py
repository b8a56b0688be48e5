"""Which way prices move, as opposed to how far."""

from typing import NamedTuple

from indicators.bounds import Window
from indicators.catalogue import Average, indicator, moving_average
from indicators.definitions.shared import directional_moves
from indicators.series import HIGH, LOW, Series


class Directions(NamedTuple):
    """Movement up and movement down."""

    plus: Series
    minus: Series


@indicator(columns=("DMP_{length}", "DMN_{length}"))
def dm(
    high: Series = HIGH,
    low: Series = LOW,
    length: Window = 14,
    mamode: Average = "rma",
    drift: Window = 1,
) -> Directions:
    """Directional movement: how far highs rise and lows fall, averaged.

    Unit: unit of high
    Source: Wilder (1978), New Concepts in Technical Trading Systems
    """
    rise, fall = directional_moves(high, low, drift)
    return Directions(moving_average(mamode, rise, length), moving_average(mamode, fall, length))
