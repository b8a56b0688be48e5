"""The allow-lists that a script lives by: built-ins, modules and attribute names.

Nothing here holds a module object: `facades.py` builds the objects from these names.
"""

import builtins
import itertools
import random
import types
from collections import Counter, OrderedDict, defaultdict, deque
from functools import lru_cache, partial
from typing import Final

import numpy as np


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EXCEPTIONS: Final = _words(
    "ArithmeticError AssertionError AttributeError Exception FloatingPointError IndexError KeyError"
    " LookupError NameError OverflowError RuntimeError StopIteration TypeError ValueError"
    " ZeroDivisionError"
)
BUILTINS: Final = EXCEPTIONS | _words(
    "abs all any bool chr dict divmod enumerate filter float frozenset int isinstance iter len list"
    " map max min next ord pow print range repr reversed round set slice sorted str sum tuple zip"
)
API: Final = _words("log nan params signal")

MATH: Final = _words(
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh degrees dist e erf erfc exp"
    " exp2 expm1 fabs floor fmod frexp fsum gcd hypot inf isclose isfinite isinf isnan isqrt lcm"
    " ldexp lgamma log log10 log1p log2 modf nan nextafter pi pow prod radians remainder sin sinh"
    " sqrt tan tanh tau trunc ulp"
)
STATISTICS: Final = _words(
    "correlation covariance fmean geometric_mean harmonic_mean linear_regression mean median"
    " median_high median_low mode pstdev pvariance quantiles stdev variance"
)
NUMPY: Final = _words(
    "abs absolute all allclose any append arange arccos arcsin arctan arctan2 argmax argmin argsort"
    " array asarray average bincount ceil clip column_stack concatenate convolve corrcoef cos cosh"
    " cov cross cumprod cumsum diff digitize divide dot e empty exp expm1 exp2 eye fabs float32"
    " float64 floor full full_like gradient hstack hypot identity inf inner int64 interp isclose"
    " isfinite isin isinf isnan linspace log log10 log1p log2 logical_and logical_not logical_or"
    " logspace matmul max maximum mean median min minimum mod multiply nan nanargmax nanargmin"
    " nancumsum nanmax nanmean nanmedian nanmin nanpercentile nanquantile nanstd nansum nanvar"
    " newaxis nonzero ones ones_like outer percentile pi polyfit polyval power prod ptp quantile"
    " ravel repeat reshape roll round searchsorted sign sin sinh sort sqrt square stack std"
    " subtract sum tan tanh tile trapezoid tril triu unique var vstack where zeros zeros_like"
)
MODULES: Final[dict[str, frozenset[str]]] = {
    "bisect": _words("bisect bisect_left bisect_right insort insort_left insort_right"),
    "collections": _words("Counter OrderedDict defaultdict deque"),
    "functools": _words("partial reduce"),
    "heapq": _words("heapify heappop heappush heappushpop heapreplace nlargest nsmallest"),
    "itertools": _words(
        "accumulate chain combinations compress dropwhile islice pairwise"
        " permutations product starmap takewhile zip_longest"
    ),
    "math": MATH,
    "numpy": NUMPY,
    "random": _words("choice gauss randint random sample shuffle uniform"),
    "statistics": STATISTICS,
}

BAR: Final = ("ts", "open", "high", "low", "close", "volume", "values", "symbol")

_METHODS: Final = _words(
    # list, deque, dict, set, Counter
    "append appendleft clear copy count discard add difference elements extend extendleft get index"
    " insert intersection isdisjoint issubset issuperset items keys maxlen most_common pop popitem"
    " popleft remove reverse rotate setdefault sort subtract symmetric_difference total union"
    " update move_to_end"
    # str
    " capitalize endswith find isalpha isdigit islower isupper join lower lstrip partition replace"
    " rfind rpartition rsplit rstrip split splitlines startswith strip title upper"
    # what errors and StopIteration tell, and scripts like to call their own things
    " name value"
    # numbers
    " bit_length is_integer real imag"
    # ndarray
    " all any argmax argmin argsort astype clip cumprod cumsum diagonal dot flatten item max mean"
    " min ndim nonzero prod ravel reshape round searchsorted shape size std sum swapaxes tolist"
    " transpose var T"
)
SAFE_ATTRIBUTES: Final = _METHODS.union(BAR, *MODULES.values())


@lru_cache(maxsize=1)
def foreign_attributes() -> frozenset[str]:
    """Public names on objects that a script can reach but did not make, less the safe ones.

    A name outside this set is harmless: only objects of the script's own classes can have it.
    """
    kinds: list[object] = [
        *(str, bytes, bytearray, int, float, complex, list, tuple, dict, set, frozenset, range),
        *(slice, memoryview, type, object, property, partial, deque, Counter, OrderedDict),
        *(defaultdict, np.ndarray, np.generic, np.dtype, np.ufunc, np.flatiter),
        *(value for name, value in vars(types).items() if name.endswith("Type")),
        *np.sctypeDict.values(),
        *(value for value in vars(builtins).values() if isinstance(value, type)),
        *(value for value in vars(itertools).values() if isinstance(value, type)),
        random.Random,
    ]
    names = {name for kind in kinds for name in dir(kind) if not name.startswith("_")}
    return frozenset(names) - SAFE_ATTRIBUTES
