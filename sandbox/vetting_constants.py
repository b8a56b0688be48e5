"""How big a constant expression would get, worked out without ever making it."""

import ast
import re
from typing import Final

INTEGER_BITS_MAX: Final = 4_096
REPEAT_MAX: Final = 10_000_000  # items of a repeated literal, and steps of a range
FORMAT_WIDTH_MAX: Final = 100
DIGITS = re.compile(r"\d+")


def integer(node: ast.expr) -> int | None:
    """Value of a constant whole-number expression of bounded size; None for anything else."""
    folded = _fold(node)
    return folded if isinstance(folded, int) else None


def bomb(node: ast.BinOp) -> str | None:
    """What an operation between constants would blow up to, or None if it is small."""
    folded = _fold(node)
    return folded if isinstance(folded, str) else None


def _fold(node: ast.expr) -> int | str | None:
    """The value, or what it blows up to, or None where it is not a constant. One visit a node."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        value = _fold(node.operand)
        return -value if isinstance(value, int) else value
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _fold(node.left), _fold(node.right)
    if isinstance(left, str) or isinstance(right, str):
        return left if isinstance(left, str) else right
    return _apply(node, left, right)


def _apply(node: ast.BinOp, left: int | None, right: int | None) -> int | str | None:
    if isinstance(node.op, ast.Mult) and (left is None) != (right is None):
        sequence, times = (node.left, right) if left is None else (node.right, left)
        return _repetition(sequence, times or 0)
    if isinstance(node.op, ast.Pow | ast.LShift) and right is not None:
        big = _power(node, left, right)
        if big or right < 0:
            return big
    if left is None or right is None:
        return None
    match node.op:
        case ast.Add():
            return left + right
        case ast.Sub():
            return left - right
        case ast.Mult():
            return _bounded(left * right)
        case ast.Pow():
            return int(left**right)
        case ast.LShift():
            return left << right
        case _:
            return None


def _bounded(value: int) -> int | str:
    bits = value.bit_length()
    return f"A whole number of {bits} bits" if bits > INTEGER_BITS_MAX else value


def _power(node: ast.BinOp, left: int | None, right: int) -> str | None:
    if isinstance(node.left, ast.Constant) and type(node.left.value) is float:
        return None
    if right > INTEGER_BITS_MAX:
        return "A power or shift by more than " + str(INTEGER_BITS_MAX)
    bits = (left or 0).bit_length() * right if isinstance(node.op, ast.Pow) else right
    return f"A whole number of {bits} bits" if bits > INTEGER_BITS_MAX else None


def _repetition(sequence: ast.expr, times: int) -> str | None:
    match sequence:
        case ast.Constant(value=str() | bytes() as text):
            size = len(text)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            size = len(items)
        case ast.JoinedStr():
            size = 1
        case _:
            return None
    return f"{size * times:.3g} repeated items" if size * times > REPEAT_MAX else None


def wide_format(text: str) -> str | None:
    """The width in a format text that is too wide, or None."""
    wide = [digits for digits in DIGITS.findall(text) if len(digits) > 3]
    wide += [d for d in DIGITS.findall(text) if len(d) <= 3 and int(d) > FORMAT_WIDTH_MAX]
    return wide[0][:20] if wide else None
