"""How an instrument moves with another series."""

from indicators.catalogue import indicator
from indicators.definitions.overlap.averages import LongerWindow
from indicators.operators import earlier, rolling_pair, square_root
from indicators.series import Series


@indicator(columns="BETA_{length}")
def beta(close: Series, benchmark: Series, length: LongerWindow = 30) -> Series:
    """Slope of the changes, each a share of the value before, over those of the benchmark.

    Unit: none
    Source: Sharpe (1964), Capital Asset Prices
    """
    changes = close / earlier(close, 1) - 1.0
    market = benchmark / earlier(benchmark, 1) - 1.0
    _, joint, spread = rolling_pair(changes, market, length)
    return joint / spread


@indicator(columns="CORREL_{length}")
def correl(close: Series, benchmark: Series, length: LongerWindow = 30) -> Series:
    """Correlation of the last values with those of the benchmark.

    Unit: -1 to 1
    Source: Pearson (1895), Note on Regression and Inheritance in the Case of Two Parents
    """
    spread_x, joint, spread_y = rolling_pair(close, benchmark, length)
    return joint / square_root(spread_x * spread_y)
