"""The root of what this package raises."""


class IndicatorError(Exception):
    """Something handed to the engine is not what it takes: an expression, a column, a capsule."""
