"""Moments in words: relative to now, and in full in a time zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from markupsafe import Markup

from domain.platform.durations import in_units
from services.maintenance.workspace import HourCycle

TIME_ZONES = [
    (zone, zone.replace("_", " ")) for zone in sorted(available_timezones()) if "/" in zone
]
"""Time zones to choose from: IANA name and label."""

_SECOND, _HOUR = timedelta(seconds=1), timedelta(hours=1)


@dataclass(frozen=True)
class Clock:
    """The workspace's time zone (IANA name) and 12- or 24-hour clock."""

    zone: str
    hour_cycle: HourCycle

    def time_of(self, moment: datetime, zone: str | None = None) -> str:
        """Write the time of day: ``9:30 AM`` or ``09:30``."""
        return self._time(moment.astimezone(ZoneInfo(zone or self.zone)))

    def date_of(self, moment: datetime, zone: str | None = None) -> str:
        """Write the date: ``Wed, Dec 2, 2026``."""
        return date_words(moment.astimezone(ZoneInfo(zone or self.zone)).date())

    def exact(self, moment: datetime, zone: str | None = None) -> str:
        """Write a moment in full: ``Wed, Dec 2, 2026, 9:30 AM (New York)``."""
        local = moment.astimezone(ZoneInfo(zone or self.zone))
        return f"{date_words(local.date())}, {self._time(local)} ({place_of(zone or self.zone)})"

    def on_both(self, moment: datetime, zone: str, whose: str) -> str:
        """Write a moment on somebody's clock, and on ours if that shows another time.

        ``Wed, Dec 2, 2026, 9:00 AM Hannah's time (12:00 PM yours)``.
        """
        theirs, ours = moment.astimezone(ZoneInfo(zone)), moment.astimezone(ZoneInfo(self.zone))
        if theirs.replace(tzinfo=None) == ours.replace(tzinfo=None):
            return self.exact(moment)
        day = "" if theirs.date() == ours.date() else f"{date_words(ours.date())}, "
        at = f"{date_words(theirs.date())}, {self._time(theirs)}"
        return f"{at} {whose} time ({day}{self._time(ours)} yours)"

    def _time(self, local: datetime) -> str:
        if self.hour_cycle == 24:
            return f"{local.hour:02}:{local.minute:02}"
        return f"{local.hour % 12 or 12}:{local.minute:02} {'AM' if local.hour < 12 else 'PM'}"


@dataclass(frozen=True)
class TimeTags:
    """Writes moments for one request, which came ``now``, with the exact time on hover.

    Templates call these some hundred times for a page: they get them as they are, for a function
    that takes the template's context is given a new one at each call.
    """

    now: datetime
    clock: Clock

    def relative_time(self, moment: datetime, zone: str | None = None) -> Markup:
        """Write "in 2 hr 13 min"; the exact time in the zone given or the workspace's."""
        return self._tag(moment, zone, relative(moment, self.now))

    def coming(self, moment: datetime, zone: str | None = None, past: str = "due") -> Markup:
        """Write "in 5 min"; once it is past, that it is due, in the words of the caller."""
        words = relative(moment, self.now) if moment > self.now else past
        return self._tag(moment, zone, words, f' data-past="{past}"')

    def _tag(self, moment: datetime, zone: str | None, words: str, more: str = "") -> Markup:
        exact = self.clock.exact(moment, zone)
        # Nothing of it is anybody's text: digits, our own words and the names of zones.
        return Markup(  # noqa: S704
            f'<time datetime="{iso(moment)}" data-relative{more} data-tip="{exact}">{words}</time>'
        )


def place_of(zone: str) -> str:
    """Name a time zone as people do, who put "time" behind it: ``New York``."""
    return zone.rpartition("/")[2].replace("_", " ")


def iso(moment: datetime) -> str:
    """Write a moment for programs, to the second."""
    return moment.isoformat(timespec="seconds")


@lru_cache(maxsize=1024)
def date_words(day: date) -> str:
    """Write a date: ``Wed, Dec 2, 2026``."""
    return f"{day:%a}, {day:%b} {day.day}, {day.year}"


def relative(moment: datetime, now: datetime) -> str:
    """Write a moment relative to now: ``in 2 hr 13 min``, ``5 min ago``.

    Past moments and those less than an hour ahead get one unit, later ones two. The browser
    applies the same rule as time passes (api/assets/js/times.js).
    """
    ahead = moment - now
    if abs(ahead) < _SECOND:
        return "now"
    if ahead > timedelta(0):
        return f"in {in_units(ahead, most=2 if ahead >= _HOUR else 1, short=True)}"
    return f"{in_units(-ahead, most=1, short=True)} ago"
