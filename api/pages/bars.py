"""Bars in several colors, as positions for SVG: inline styles are forbidden."""

from collections.abc import Iterable
from typing import NamedTuple


class Segment(NamedTuple):
    """One part of a bar: the tone of a badge; start and width in percent of the bar."""

    tone: str
    start: float
    width: float


def segments(parts: Iterable[tuple[str, int]]) -> list[Segment]:
    """Lay parts (tone and count) end to end so that they fill the bar; skip empty ones."""
    counted = [(tone, count) for tone, count in parts if count]
    total = sum(count for _, count in counted)
    laid = []
    start = 0.0
    for tone, count in counted:
        width = 100 * count / total
        laid.append(Segment(tone, round(start, 3), round(width, 3)))
        start += width
    return laid
