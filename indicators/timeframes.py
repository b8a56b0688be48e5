"""Timeframes of series: what `on="5m"` means, and which plans it fits."""

from indicators.bars import SECOND_NS, BarSpec
from indicators.errors import IndicatorError, ParameterError
from indicators.series import Series, coarse, is_coarse, walk


def on(series: Series, timeframe: str) -> Series:
    """The series over bars of a coarser timeframe: its value at the last one that has closed.

    Its fields are those of the coarser bars, made of the plan's own; a bar that closes with the
    plan's bar has closed on that row. ParameterError where `timeframe` is not one of time, or
    the series is on another already.
    """
    if any(is_coarse(each) for each in walk([series])):
        raise ParameterError(f"on={timeframe!r}: the series holds one that is on a timeframe")
    try:
        return coarse(series, seconds_of(timeframe))
    except IndicatorError as error:
        raise ParameterError(f"on={timeframe!r}: {error}") from None


def seconds_of(timeframe: str) -> int:
    """The length of a time bar. IndicatorError for any other kind of bar."""
    spec = BarSpec.parse(timeframe)
    if not spec.is_time:
        raise IndicatorError(f"timeframe {timeframe!r} is not one of time, such as 5m")
    return spec.step // SECOND_NS


def row_seconds(timeframe: str | None, coarser: list[int]) -> int:
    """The length of a plan's bars, 1 where it does not matter.

    IndicatorError where series of `coarser` lengths cannot be made of them.
    """
    if not coarser:
        return 1
    if timeframe is None:
        raise IndicatorError("on= needs the timeframe of the plan: Plan.parse(..., timeframe='1m')")
    rows = seconds_of(timeframe)
    for seconds in coarser:
        if seconds % rows:
            raise IndicatorError(
                f"on= of {seconds} s is not a multiple of the plan's timeframe {timeframe!r}"
            )
    return rows
