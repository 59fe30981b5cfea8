"""Durations: in words, and as a whole number of one unit as forms have them."""

from datetime import timedelta

UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400}
"""Units of a duration, in seconds."""

_SHORT = {"seconds": "sec", "minutes": "min", "hours": "hr"}


def in_units(duration: timedelta, *, most: int = 2, short: bool = False) -> str:
    """Write a duration in its largest units: ``2 days 3 hours``, or in short ``2 days 3 hr``.

    It is cut off after ``most`` units in a row; those of which there is none are left out.
    """
    left = int(duration.total_seconds())
    units = [unit for unit, size in reversed(UNITS.items()) if left >= size] or ["seconds"]
    words: list[str] = []
    for unit in units[:most]:
        count, left = divmod(left, UNITS[unit])
        if count or not words:
            name = unit.removesuffix("s") if count == 1 else unit
            words.append(f"{count} {_SHORT.get(unit, name) if short else name}")
    return " ".join(words)


def whole(duration: timedelta) -> tuple[int, str]:
    """Write a duration as a whole number of the largest unit possible; 0 as minutes."""
    seconds = int(duration.total_seconds())
    fitting = (unit for unit, size in reversed(UNITS.items()) if seconds % size == 0)
    unit = next(fitting) if seconds else "minutes"
    return seconds // UNITS[unit], unit
