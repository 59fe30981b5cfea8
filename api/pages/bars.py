"""Bars of several colours, as SVG needs them: inline styles are forbidden."""

from collections.abc import Iterable
from typing import NamedTuple


class Segment(NamedTuple):
    """One part of a bar.

    Attributes:
        tone: Its colour, as badges have it.
        start: Where it begins, in percent of the bar.
        width: In percent of the bar.
    """

    tone: str
    start: float
    width: float


def segments(parts: Iterable[tuple[str, int]]) -> list[Segment]:
    """Lay parts end to end so that together they fill the bar; empty ones are left out.

    Args:
        parts: Tone and count of each.
    """
    counted = [(tone, count) for tone, count in parts if count]
    total = sum(count for _, count in counted)
    laid = []
    start = 0.0
    for tone, count in counted:
        width = 100 * count / total
        laid.append(Segment(tone, round(start, 3), round(width, 3)))
        start += width
    return laid
