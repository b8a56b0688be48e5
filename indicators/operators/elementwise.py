"""Functions of one row's numbers."""

from indicators.declare import Value, elementwise


@elementwise
def add(x: Value, y: Value) -> float:
    """The sum."""
    return x + y
