"""When a text may go, by brute force: a second opinion on ``domain.sequences.timing``.

Written from docs/design.md ("Sending") before that code was read: it looks at one moment after
another, and asks of each whether every bound allows it.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LEAST_LEFT = timedelta(seconds=90)
STEP = timedelta(minutes=1)


@dataclass(frozen=True)
class Bound:
    """Hours in which texts may go, on one clock: per weekday ``("09:00", "20:00")``, end excluded.

    A weekday that is not named has none, nor has a day of ``holidays``.
    """

    zone: str
    hours: Mapping[str, tuple[str, str]]
    holidays: Collection[date] = ()

    def allows(self, moment: datetime) -> bool:
        """Whether the clock on the wall shows one of the hours at this moment."""
        there = moment.astimezone(ZoneInfo(self.zone))
        hours = self.hours.get(DAYS[there.weekday()])
        if hours is None or there.date() in self.holidays:
            return False
        return hours[0] <= f"{there:%H:%M}" < hours[1]


def allowed(moment: datetime, bounds: Sequence[Bound]) -> bool:
    """Whether all bounds allow this moment, and will for as long as a text needs to go out."""
    last = moment + LEAST_LEFT - timedelta(seconds=1)
    seconds = (moment, moment + LEAST_LEFT / 2, last)
    return all(bound.allows(second) for bound in bounds for second in seconds)


def first_allowed(
    start: datetime, bounds: Sequence[Bound], *, days: int, step: timedelta = STEP
) -> datetime | None:
    """Find the first moment from ``start`` on that is allowed; None if none is for so many days.

    What is not allowed at once becomes so on a whole ``step``: hours begin on one, on any clock.
    """
    moments = (moment for moment in _moments(start, days, step) if allowed(moment, bounds))
    return next(moments, None)


def _moments(start: datetime, days: int, step: timedelta) -> Iterator[datetime]:
    yield start
    seconds = step.total_seconds()
    whole = datetime.fromtimestamp(start.timestamp() // seconds * seconds, start.tzinfo)
    for count in range(1, days * (timedelta(days=1) // step) + 1):
        yield whole + count * step
