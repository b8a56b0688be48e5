"""What was gained and lost."""

from typing import NamedTuple

from indicators.bounds import Window
from indicators.catalogue import indicator
from indicators.operators import earlier, first_value, logarithm, running_max
from indicators.series import CLOSE, Series


class Drawdown(NamedTuple):
    """The way down from the highest close so far: as it is, as a share, as a logarithm."""

    drawdown: Series
    percent: Series
    log: Series


@indicator(columns=("DD", "DD_PCT", "DD_LOG"))
def drawdown(close: Series = CLOSE) -> Drawdown:
    """How far the close is below its highest so far.

    Unit: unit of close; share of the highest; logarithm of the ratio
    Source: definition
    """
    top = running_max(close)
    return Drawdown(top - close, 1.0 - close / top, logarithm(top) - logarithm(close))


def _return_column(prefix: str, length: int, cumulative: bool) -> str:
    return f"{'CUM' * cumulative}{prefix}_{length}"


def _log_column(length: int, cumulative: bool) -> str:
    return _return_column("LOGRET", length, cumulative)


@indicator(columns=_log_column)
def log_return(close: Series = CLOSE, length: Window = 1, cumulative: bool = False) -> Series:
    """Logarithm of the ratio to the close `length` rows ago, or to the first if `cumulative`.

    Unit: logarithm of a ratio
    Source: definition
    """
    return logarithm(close / (first_value(close) if cumulative else earlier(close, length)))


def _percent_column(length: int, cumulative: bool) -> str:
    return _return_column("PCTRET", length, cumulative)


@indicator(columns=_percent_column)
def percent_return(close: Series = CLOSE, length: Window = 1, cumulative: bool = False) -> Series:
    """Change since the close `length` rows ago, or since the first if `cumulative`, as a share.

    Unit: share
    Source: definition
    """
    return close / (first_value(close) if cumulative else earlier(close, length)) - 1.0
