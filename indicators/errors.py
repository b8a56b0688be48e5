"""What can go wrong with an expression, a plan or a saved state."""


class IndicatorError(Exception):
    """The engine was asked for something it cannot do. The message names what to change."""


class ExpressionError(IndicatorError):
    """An expression cannot be read. Show the author the message; it names the place."""


class ParameterError(IndicatorError, ValueError):
    """A parameter is of the wrong kind or out of its bounds."""


class CapsuleError(IndicatorError):
    """A saved state is damaged or belongs to another plan. Replay history instead."""
