"""Expressions as text: read by an allow-list over Python's syntax tree; nothing is evaluated."""

import ast
import difflib
import operator
from collections.abc import Callable
from typing import Any

from indicators.catalogue import CATALOGUE, Built
from indicators.errors import ExpressionError, ParameterError
from indicators.series import FIELD_NAMES, Series, as_series, field

TEXT_LENGTH_MAX = 2_000
DEPTH_MAX = 60
NUMBER_MAX = 1e300
NEAREST_MAX = 3

_ARITHMETIC: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_COMPARISONS: dict[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_PRICES = ("hl2", "hlc3", "ohlc4")


def parse(text: str) -> Series | Built:
    """The series of an expression, or all outputs of an indicator called on its own.

    Raises ExpressionError, which quotes the text and points at the place.
    """
    if len(text) > TEXT_LENGTH_MAX:
        raise ExpressionError(f"an expression has at most {TEXT_LENGTH_MAX} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except SyntaxError as error:
        raise ExpressionError(_point(text.strip(), error.msg, error.offset or 1)) from None
    except (ValueError, RecursionError, MemoryError):
        raise ExpressionError("the expression is nested too deeply or holds a NUL") from None
    reader = _Reader(text.strip())
    value = reader.read(tree.body, 0)
    return value if isinstance(value, Built) else as_series(reader.number(tree.body, value))


def _point(text: str, message: str, column: int) -> str:
    return f"{message} (column {column})\n  {text}\n  {' ' * (column - 1)}^"


class _Reader:
    """Turns one syntax tree into series, and knows the text for its messages."""

    def __init__(self, text: str) -> None:
        self.text = text

    def read(self, at: ast.expr, depth: int) -> Any:
        """A Series, a Built, or a plain Python number, word or truth value."""
        if depth > DEPTH_MAX:
            raise self.wrong(at, f"more than {DEPTH_MAX} levels of nesting")
        match at:
            case ast.Constant(value=bool() | int() | float() | str() | None as value):
                if isinstance(value, int | float) and not abs(value) <= NUMBER_MAX:
                    raise self.wrong(at, "the number is too large")
                return value
            case ast.Name(id=name):
                return self.name(at, name)
            case _:
                return self.compound(at, depth)

    def compound(self, at: ast.expr, depth: int) -> Any:
        """What several parts make."""
        match at:
            case ast.UnaryOp():
                return self.unary(at, depth)
            case ast.BinOp():
                combine = _ARITHMETIC.get(type(at.op))
                if combine is None:
                    raise self.wrong(at, "this operator is not known: + - * / % ** & | are")
                return self.combine(at, combine, at.left, at.right, depth)
            case ast.BoolOp():
                return self.chain(at, depth)
            case ast.Compare():
                return self.compare(at, depth)
            case ast.Call():
                return self.call(at, depth)
            case ast.Attribute():
                return self.attribute(at, depth)
            case _:
                raise self.wrong(at, f"{type(at).__name__} has no place in an expression")

    def name(self, at: ast.expr, name: str) -> Any:
        if name in FIELD_NAMES:
            return field(name)
        if name in _PRICES:
            return CATALOGUE[name].build().series[0]
        if name in CATALOGUE:
            raise self.wrong(at, f"{name} is an indicator: call it, {CATALOGUE[name].usage}")
        raise self.unknown(at, name, [*FIELD_NAMES, *_PRICES, *CATALOGUE])

    def unary(self, at: ast.UnaryOp, depth: int) -> Any:
        value = self.operand(at.operand, depth + 1)
        if isinstance(at.op, ast.UAdd):
            return value
        if isinstance(at.op, ast.USub):
            return -value
        return ~as_series(value)

    def combine(
        self,
        at: ast.expr,
        how: Callable[[Any, Any], Any],
        left: ast.expr,
        right: ast.expr,
        depth: int,
    ) -> Any:
        x, y = self.operand(left, depth + 1), self.operand(right, depth + 1)
        if how in (operator.and_, operator.or_):
            x = as_series(x)
        if isinstance(x, Series) or isinstance(y, Series):
            return how(x, y)
        try:
            value = how(float(x), float(y)) if how is operator.pow else how(x, y)
        except (ArithmeticError, ValueError) as error:
            raise self.wrong(at, f"these numbers cannot be combined: {error}") from None
        if isinstance(value, complex) or not abs(value) <= NUMBER_MAX:
            raise self.wrong(at, "the number is too large or not real")
        return value

    def chain(self, at: ast.BoolOp, depth: int) -> Series:
        values = [as_series(self.operand(each, depth + 1)) for each in at.values]
        result = values[0]
        for value in values[1:]:
            result = result & value if isinstance(at.op, ast.And) else result | value
        return result

    def compare(self, at: ast.Compare, depth: int) -> Series:
        operands = [as_series(self.operand(each, depth + 1)) for each in (at.left, *at.comparators)]
        result = None
        for sign, x, y in zip(at.ops, operands, operands[1:], strict=False):
            how = _COMPARISONS.get(type(sign))
            if how is None:
                raise self.wrong(at, "this comparison is not known: < <= > >= == != are")
            holds: Series = how(x, y)
            result = holds if result is None else result & holds
        assert result is not None
        return result

    def call(self, at: ast.Call, depth: int) -> Any:
        if not isinstance(at.func, ast.Name):
            raise self.wrong(at, "only indicators can be called, by their name")
        entry = CATALOGUE.get(at.func.id)
        if entry is None:
            raise self.unknown(at, at.func.id, list(CATALOGUE))
        positional = [self.argument(each, depth + 1) for each in at.args]
        named = {}
        for keyword in at.keywords:
            if keyword.arg is None:
                raise self.wrong(at, "** has no place in an expression")
            named[keyword.arg] = self.argument(keyword.value, depth + 1)
        try:
            built = entry.build(positional, named)
        except (ParameterError, TypeError) as error:
            raise self.wrong(at, str(error)) from None
        return built

    def attribute(self, at: ast.Attribute, depth: int) -> Any:
        value = self.read(at.value, depth + 1)
        if not isinstance(value, Built):
            raise self.wrong(at, "only an indicator's outputs have names")
        if at.attr not in value.fields:
            raise self.unknown(at, at.attr, list(value.fields))
        return value.series[value.fields.index(at.attr)]

    def operand(self, at: ast.expr, depth: int) -> Any:
        """One series or number, where `at` stands."""
        return self.number(at, self.argument(at, depth))

    def number(self, at: ast.expr, value: Any) -> Any:
        """The value, if it is a series or a number."""
        if isinstance(value, str) or value is None:
            raise self.wrong(at, f"{value!r} is not a series or a number")
        return value

    def argument(self, at: ast.expr, depth: int) -> Any:
        value = self.read(at, depth)
        if not isinstance(value, Built):
            return value
        if len(value.series) > 1:
            wanted = ", ".join(f".{name}" for name in value.fields)
            raise self.wrong(at, f"this has several outputs; say which: {wanted}")
        return value.series[0]

    def unknown(self, at: ast.expr, name: str, known: list[str]) -> ExpressionError:
        near = difflib.get_close_matches(name, known, n=NEAREST_MAX, cutoff=0.0)
        return self.wrong(at, f"unknown name {name!r}; nearest: {', '.join(near)}")

    def wrong(self, at: ast.expr, message: str) -> ExpressionError:
        before = self.text.encode().splitlines()[at.lineno - 1][: at.col_offset]
        return ExpressionError(_point(self.text, message, len(before.decode()) + 1))
