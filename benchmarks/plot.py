"""Line charts as SVG text: a few panels over one axis, no dependency."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP = 760, 130, 34, 56, 16, 40
COLOURS = ("#4878a8", "#e08214", "#2a7f3f")
TICKS = 6


@dataclass(frozen=True, slots=True)
class Panel:
    """Lines that share a vertical axis, each with a value for every point of the horizontal."""

    title: str
    lines: Mapping[str, Sequence[float]]


def svg(title: str, unit: str, across: Sequence[float], panels: Sequence[Panel]) -> str:
    """Text of the picture, the panels below each other."""
    height = TOP + len(panels) * (PANEL + GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="18" font-size="13">{escape(title)}</text>',
    ]
    for at, panel in enumerate(panels):
        parts += _panel(panel, TOP + at * (PANEL + GAP), unit, across)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: float, unit: str, across: Sequence[float]) -> list[str]:
    highest = _round_up(max(max(line) for line in panel.lines.values()))
    last = across[-1]
    right, bottom = WIDTH - RIGHT, top + PANEL

    def x(value: float) -> float:
        return LEFT + (right - LEFT) * value / last

    def y(value: float) -> float:
        return bottom - PANEL * value / highest

    parts = [f'<text x="{LEFT}" y="{top - 5}">{escape(panel.title)}</text>']
    for share in (0.0, 0.5, 1.0):
        at = y(share * highest)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{right}" stroke="#ddd"/>')
        parts.append(
            f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{share * highest:g}</text>'
        )
    for tick in range(TICKS + 1):
        value = last * tick / TICKS
        name = f"{value:.0f}" if tick < TICKS else f"{value:.0f} {unit}"
        anchor = "middle" if tick < TICKS else "end"
        parts.append(
            f'<text x="{x(value):.1f}" y="{bottom + 14}" text-anchor="{anchor}">{name}</text>'
        )
    for at, (name, line) in enumerate(panel.lines.items()):
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in zip(across, line, strict=True))
        colour = COLOURS[at]
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
        )
        label = LEFT + 130 + 150 * at
        parts.append(f'<text x="{label}" y="{top - 5}" fill="{colour}">{escape(name)}</text>')
    return parts


def _round_up(value: float) -> float:
    """Least of 1, 2, 5 times a power of ten that is not below the value."""
    unit = 10.0 ** floor(log10(max(value, 1e-9)))
    return next(unit * step for step in (1, 2, 5, 10) if unit * step >= value)
