"""How moments are said to people: how far off, and exactly, in a given zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, available_timezones

from services.maintenance.workspace import HourCycle

TIME_ZONES = [
    (zone, zone.replace("_", " ")) for zone in sorted(available_timezones()) if "/" in zone
]
"""Time zones to choose from: IANA name and words."""

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass(frozen=True)
class Clock:
    """The workspace's clock.

    Attributes:
        zone: IANA name.
        hour_cycle: 12 or 24.
    """

    zone: str
    hour_cycle: HourCycle

    def time_of(self, moment: datetime, zone: str | None = None) -> str:
        """Say the time of day: ``9:30 am`` or ``09:30``."""
        local = moment.astimezone(ZoneInfo(zone or self.zone))
        if self.hour_cycle == 24:
            return f"{local:%H:%M}"
        return f"{local.hour % 12 or 12}:{local:%M} {'am' if local.hour < 12 else 'pm'}"

    def date_of(self, moment: datetime, zone: str | None = None) -> str:
        """Say the date: ``Wed 2 Dec 2026``."""
        local = moment.astimezone(ZoneInfo(zone or self.zone))
        return f"{local:%a} {local.day} {local:%b %Y}"

    def exact(self, moment: datetime, zone: str | None = None) -> str:
        """Say a moment in full: ``Wed 2 Dec 2026, 9:30 am (New York)``."""
        place = (zone or self.zone).rpartition("/")[2].replace("_", " ")
        return f"{self.date_of(moment, zone)}, {self.time_of(moment, zone)} ({place})"


def relative(moment: datetime, now: datetime) -> str:
    """Say how far off a moment is: ``in 2 h 13 m``, ``5 m ago``.

    What is past is said in one unit, what is an hour or more to come in two. The pages keep it
    true by the same rule (api/assets/js/times.js).
    """
    seconds = int((moment - now).total_seconds())
    if seconds == 0:
        return "now"
    if seconds > 0:
        return f"in {_words(seconds, most=2 if seconds >= 3_600 else 1)}"
    return f"{_words(-seconds, most=1)} ago"


def _words(seconds: int, *, most: int) -> str:
    at = next(index for index, (_, size) in enumerate(_UNITS) if seconds >= size)
    words: list[str] = []
    for name, size in _shown(at, most):
        count, seconds = divmod(seconds, size)
        if count:
            words.append(f"{count} {name}")
    return " ".join(words)


def _shown(at: int, most: int) -> Sequence[tuple[str, int]]:
    return _UNITS[at : at + most]
