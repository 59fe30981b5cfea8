"""The days that a report is about, on the clock of a zone, and the parts it is told in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from domain.platform.errors import InvalidFieldError

_DAY = timedelta(days=1)
_DAYS_MOST = 92
_WEEKS_MOST = 105


class TrendUnit(StrEnum):
    """The parts of a trend; weeks begin on Monday."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class DayRange:
    """Whole days, the last one included; None leaves that side open."""

    zone: ZoneInfo
    first: date | None = None
    last: date | None = None

    @classmethod
    def of(cls, zone: str, first: date | None, last: date | None) -> "DayRange":
        """Make a range.

        Raises:
            InvalidFieldError: It ends before it begins.
        """
        if first is not None and last is not None and last < first:
            raise InvalidFieldError(
                "last_day", f"is before the first day, {first}; choose that day or a later one"
            )
        return cls(ZoneInfo(zone), first, last)

    @property
    def start(self) -> datetime | None:
        """The first moment."""
        return None if self.first is None else self._midnight(self.first)

    @property
    def until(self) -> datetime | None:
        """The first moment that is no longer in it."""
        return None if self.last is None else self._midnight(self.last + _DAY)

    def _midnight(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.zone).astimezone(UTC)

    def day_of(self, moment: datetime) -> date:
        """Tell on which day a moment is."""
        return moment.astimezone(self.zone).date()

    def clipped(self, first: date, last: date) -> tuple[date, date]:
        """Return what of some days is in the range: its first day and its last."""
        return (
            first if self.first is None else max(first, self.first),
            last if self.last is None else min(last, self.last),
        )


def unit_of(first: date, last: date) -> TrendUnit:
    """Choose the parts in which a trend over some days can be read."""
    days = (last - first).days + 1
    if days <= _DAYS_MOST:
        return TrendUnit.DAY
    return TrendUnit.WEEK if days <= 7 * _WEEKS_MOST else TrendUnit.MONTH


def parts(first: date, last: date, unit: TrendUnit) -> Sequence[date]:
    """List the first days of the parts that some days are in, as PostgreSQL's ``date_trunc``."""
    found = []
    day = _beginning(first, unit)
    while day <= last:
        found.append(day)
        day = end_of(day, unit) + _DAY
    return found


def end_of(day: date, unit: TrendUnit) -> date:
    """Give the last day of the part that begins on a day."""
    match unit:
        case TrendUnit.DAY:
            return day
        case TrendUnit.WEEK:
            return day + timedelta(days=6)
        case TrendUnit.MONTH:
            return (day + timedelta(days=31)).replace(day=1) - _DAY


def _beginning(day: date, unit: TrendUnit) -> date:
    match unit:
        case TrendUnit.DAY:
            return day
        case TrendUnit.WEEK:
            return day - timedelta(days=day.weekday())
        case TrendUnit.MONTH:
            return day.replace(day=1)
