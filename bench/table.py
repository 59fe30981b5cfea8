"""The table that every measurement ends with: a figure, its limit and its aim."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Figure = dict[str, Any]
"""What was measured, as it is kept in JSON: ``figure`` names it, the rest are its values."""

_HEADS = ("what", "ours", "limit", "ratio", "aim", "met")
_SIGNS = {"most": "≤", "least": "≥"}
_LARGE, _SMALL = 100, 10


@dataclass(frozen=True)
class Aim:
    """A bound on a figure, or on its ratio to the limit; the bound itself meets it.

    Attributes:
        bound: The least or the most that meets it.
        of: What is bounded.
        kind: Whether the bound is the most or the least.
    """

    bound: float
    of: Literal["ours", "ratio"] = "ours"
    kind: Literal["most", "least"] = "most"


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: What was measured, and how many of it.
        ours: The figure.
        unit: Of the figure and its limit: ``/s``, ``ms``, ``s``, ``MB``; empty for a count.
        limit: The same of something bare, in the same run; None if there is nothing to compare.
        aim: None for a figure that is only told.
    """

    what: str
    ours: float
    unit: str
    limit: float | None = None
    aim: Aim | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the limit; None without one."""
        return self.ours / self.limit if self.limit else None

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met; None if there is none, or no limit that it could be about."""
        reached = self.ours if self.aim is None or self.aim.of == "ours" else self.ratio
        if self.aim is None or reached is None:
            return None
        is_most = self.aim.kind == "most"
        return reached <= self.aim.bound if is_most else reached >= self.aim.bound

    def cells(self) -> tuple[str, ...]:
        """Write the row, one text for each column."""
        limit = "" if self.limit is None else _number(self.limit, self.unit)
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        met = {True: "yes", False: "no", None: ""}[self.is_met]
        return (self.what, _number(self.ours, self.unit), limit, ratio, self._aim(), met)

    def _aim(self) -> str:
        if self.aim is None:
            return ""
        sign = _SIGNS[self.aim.kind]
        if self.aim.of == "ratio":
            return f"ratio {sign} {self.aim.bound:g}"
        return f"{sign} {_number(self.aim.bound, self.unit)}"


def figures_of(figures: Sequence[Figure], name: str) -> list[Figure]:
    """Select the figures of one name, in their order."""
    return [figure for figure in figures if figure["figure"] == name]


def median_pair(pairs: Sequence[Figure], ratio: str = "ratio") -> Figure:
    """Return the pair whose ratio is the median, so that ours and bare are of one moment."""
    middle = statistics.median_low(pair[ratio] for pair in pairs)
    return next(pair for pair in pairs if pair[ratio] == middle)


def table(rows: Sequence[Row]) -> str:
    """Write rows below each other, in columns that Markdown reads too."""
    lines = [_HEADS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(_lines(lines, widths))


def _lines(lines: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for number, cells in enumerate(lines):
        first, *others = map(str.ljust, cells, widths)
        yield f"| {' | '.join([first, *(cell.strip().rjust(len(cell)) for cell in others)])} |"
        if number == 0:
            rules = ["-" * width for width in widths]
            yield f"| {' | '.join([rules[0], *(f'{rule[1:]}:' for rule in rules[1:])])} |"


def _number(value: float, unit: str) -> str:
    """Write a number with three digits or more, and its unit."""
    if math.isinf(value):
        return "never"
    is_whole = abs(value) >= _LARGE or value == int(value)
    digits = 0 if is_whole else 1 if abs(value) >= _SMALL else 2
    space = "" if unit in {"", "/s"} else " "
    return f"{value:,.{digits}f}{space}{unit}"
