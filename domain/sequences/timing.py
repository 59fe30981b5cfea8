"""When texts are due and when they may go; the one place that knows local time.

Everything that comes in and goes out is an aware UTC ``datetime`` or a ``timedelta``; wall-clock
time exists only between the lines, always with an explicit zone.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from domain.platform.errors import InvalidFieldError
from domain.platform.jurisdictions import jurisdictions
from domain.platform.phones import time_zones

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""Keys of the days in a send window; the index is ``date.weekday()``."""

MIN_WINDOW_LEFT = timedelta(seconds=90)
"""Less of a send window than this counts as outside."""

MIN_WINDOW = timedelta(minutes=15)
"""Shortest window a day may have."""

MAX_VALIDITY_SECONDS = 36_000
"""Longest validity period of a text (Twilio, Messages API, ``ValidityPeriod``; November 2026)."""

VALIDITY_MARGIN = timedelta(seconds=30)
"""How long before the window's end a text stops being valid."""

_MIDNIGHT = time(0)

ALL_DAY = _MIDNIGHT, _MIDNIGHT
"""The hours of a day that is open from its beginning to its end."""

_ONE_DAY = timedelta(days=1)
_WEEK = timedelta(days=8)  # seven days, and one for a change of the clocks
_SEARCH = timedelta(days=22)  # a change of the clocks can swallow one week's only window
_OFFSET_STEP = timedelta(days=7)
_HH_MM = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_NOT_ZONES = frozenset({"localtime", "posixrules", "Factory"})


@dataclass(frozen=True)
class SendWindow:
    """The hours in which texts may go out, by the contact's clock.

    Attributes:
        hours: Day key (see ``DAYS``) to ``(opens, closes)``, half-open. ``closes`` at
            ``time(0)`` is midnight at the *end* of the day, written ``24:00``. A day that is
            absent is closed.
    """

    hours: Mapping[str, tuple[time, time]]

    def __post_init__(self) -> None:
        """Refuse a window that could never open."""
        if not self.hours or not set(self.hours) <= set(DAYS):
            raise ValueError("a send window needs days of DAYS, at least one")

    @classmethod
    def parse(cls, raw: Mapping[str, Sequence[str]], *, field: str = "send_window") -> "SendWindow":
        """Read a window as the API and the database write it.

        That is day key to ``["HH:MM", "HH:MM"]``, the second up to ``24:00``.

        Raises:
            InvalidFieldError: Naming the day (``send_window.mon``), for an unknown day, a time
                that is none, a window that does not open before it closes or is shorter than
                15 minutes; naming the whole field if no day is open.
        """
        if not raw:
            raise InvalidFieldError(
                field, "opens on no day; choose at least one, or null for any time"
            )
        for day in raw:
            if day not in DAYS:
                raise InvalidFieldError(f"{field}.{day}", f"is not a day; use {', '.join(DAYS)}")
        return cls({day: _parse_day(raw[day], f"{field}.{day}") for day in DAYS if day in raw})

    @property
    def code(self) -> str:
        """What names it among reasons."""
        return "window"

    def hours_on(self, day: date) -> tuple[time, time] | None:
        """Give the hours of a day; None if it is closed."""
        return self.hours.get(DAYS[day.weekday()])

    def overlaps(self, other: "SendWindow") -> bool:
        """Tell whether some day has a minute or more in both, and time for a text to go."""
        for day, (opens, closes) in self.hours.items():
            if day in other.hours:
                theirs = other.hours[day]
                ends = min(_end_of(closes), _end_of(theirs[1]))
                if (
                    ends - max(_since_midnight(opens), _since_midnight(theirs[0]))
                    >= MIN_WINDOW_LEFT
                ):
                    return True
        return False

    def bounds(self, clock: "ContactClock", zones: tuple[str, ...]) -> "tuple[Bound, ...]":
        """Bind texts to a contact by these zones; see ``Hours``."""
        del clock
        return (Bound(self, zones),)

    def dump(self) -> dict[str, list[str]]:
        """Write the window as ``parse`` reads it, days in the week's order."""
        return {
            day: [self.hours[day][0].strftime("%H:%M"), _dump_closing(self.hours[day][1])]
            for day in DAYS
            if day in self.hours
        }


DEFAULT_WINDOW = SendWindow({day: (time(12 if day == "sun" else 9), time(20)) for day in DAYS})
"""Inside the hours of 47 CFR 64.1200(c)(1) and, but for Rhode Island's, of the stricter states."""


@dataclass(frozen=True)
class ContactClock:
    """What is known about a contact's local time.

    Attributes:
        zones: IANA names; one if known, several if the number allows several. Never empty.
        workspace: The workspace's own zone.
        jurisdictions: Whose law the contact may be under; see ``domain.platform.jurisdictions``.
    """

    zones: tuple[str, ...]
    workspace: str
    jurisdictions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        *,
        time_zone: str | None,
        phone: str,
        workspace: str,
        country: str | None = None,
        state: str | None = None,
        postal_code: str | None = None,
    ) -> "ContactClock":
        """Use the contact's given zone, else all that the number allows, else the workspace's."""
        zones = (time_zone,) if time_zone else time_zones(phone)
        places = jurisdictions(
            phone=phone, time_zone=time_zone, country=country, state=state, postal_code=postal_code
        )
        return cls(zones or (workspace,), workspace, places)

    @property
    def wall_zone(self) -> ZoneInfo:
        """The one zone that "at 09:30" is meant in.

        Where the number allows several: the workspace's if it is one of them, else the
        westernmost, where it is earliest, so nobody is texted before that time.
        """
        return _zone(_wall_zone(self.zones, self.workspace))


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """What says where a contact is, and so which clock and whose law their texts go by.

    Attributes:
        phone: E.164.
        time_zone: IANA name, if given.
        country: ISO 3166-1 code, if given; ``state`` that of ISO 3166-2 without the country.
    """

    phone: str
    time_zone: str | None
    country: str | None
    state: str | None
    postal_code: str | None

    def clock(self, workspace_zone: str) -> ContactClock:
        """Make the clock that the contact's texts go by."""
        return ContactClock.of(
            time_zone=self.time_zone,
            phone=self.phone,
            workspace=workspace_zone,
            country=self.country,
            state=self.state,
            postal_code=self.postal_code,
        )


class DayRule(Protocol):
    """What leaves each day some hours, on the clock on the wall."""

    @property
    def code(self) -> str:
        """What names it among reasons."""

    def hours_on(self, day: date) -> tuple[time, time] | None:
        """Give when a day opens and closes, as in ``SendWindow``; None if it stays closed."""


@dataclass(frozen=True)
class Bound:
    """A rule, and the zones on each of whose clocks it must let a text go."""

    rule: DayRule
    zones: tuple[str, ...]


class Hours(Protocol):
    """When texts may go to a contact: all that binds them."""

    def bounds(self, clock: ContactClock, zones: tuple[str, ...]) -> Sequence[Bound]:
        """List what binds; ``zones`` are those that the send window goes by."""


@dataclass(frozen=True)
class Slot:
    """A moment at which a text may go out.

    Attributes:
        at: The moment, UTC.
        closes_at: When the hours that ``at`` is in end, UTC; with hours that never end, some moment
            more than a week ahead. None if nothing binds.
        kept_by: The rules that let it go no sooner.
        is_open: Whether it may go then; if no moment ahead is allowed by all rules, ``at`` is when
            to look again.
    """

    at: datetime
    closes_at: datetime | None
    kept_by: tuple[DayRule, ...] = field(default=(), compare=False)
    is_open: bool = True


def check_time_zone(name: str, *, field: str = "time_zone") -> str:
    """Check the name of a time zone, in IANA's own spelling (``America/New_York``).

    Raises:
        InvalidFieldError: There is no such zone.
    """
    if name not in _known_zones():
        raise InvalidFieldError(
            field, "is not an IANA time zone; write a name such as America/New_York"
        )
    return name


def ongoing_due(
    previous: datetime, delay: timedelta, at_time: time | None, clock: ContactClock
) -> datetime:
    """Compute when a step of an ongoing sequence is due, regardless of its send window.

    That is ``delay`` after the text before, or the enrollment; with ``at_time``, at that wall-clock
    time of the contact's local date ``delay`` (whole days) later, or of the next if that is past.
    """
    if at_time is None:
        return previous.astimezone(UTC) + delay
    zone = clock.wall_zone
    day = previous.astimezone(zone).date() + timedelta(days=delay.days)
    due = _instant(day, at_time, zone)
    if due < previous:
        due = _instant(day + _ONE_DAY, at_time, zone)
    return due


def scheduled_due(send_at: datetime, clock: ContactClock) -> datetime:
    """Compute when a step of a scheduled sequence is due, regardless of its send window.

    ``send_at`` is naive wall-clock time. A time that the clocks skip moves forward by the length of
    the gap, one that happens twice is the first of the two, as in RFC 5545, section 3.3.5.
    """
    if send_at.tzinfo is not None:
        raise ValueError("send_at is wall-clock time and carries no zone")
    return _instant(send_at.date(), send_at.time(), clock.wall_zone)


def anchored_due(
    value: object, offset: timedelta, at_time: time | None, clock: ContactClock
) -> datetime | None:
    """Compute when a step is due that goes by a date; None if the value is none.

    ``value`` is ``2026-12-01``, which begins at midnight, or a date and time, on the contact's
    clock unless it has a zone. ``offset`` is from then; with ``at_time`` it is whole days, to that
    wall-clock time.
    """
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or not 2000 <= moment.year <= 9000:
        return None
    zone = clock.wall_zone
    if moment.tzinfo is not None:
        moment = moment.astimezone(zone)
    if at_time is not None:
        return _instant(moment.date() + timedelta(days=offset.days), at_time, zone)
    if moment.tzinfo is None:
        return _instant(moment.date(), moment.time(), zone) + offset
    return moment.astimezone(UTC) + offset


class _Step(Protocol):
    @property
    def delay_seconds(self) -> int | None: ...
    @property
    def at_time(self) -> time | None: ...
    @property
    def send_at(self) -> datetime | None: ...
    @property
    def anchor_key(self) -> str | None: ...
    @property
    def anchor_offset_seconds(self) -> int | None: ...


def step_due(
    step: _Step,
    previous: datetime,
    clock: ContactClock,
    values: Mapping[str, object] = MappingProxyType({}),
) -> datetime | None:
    """Compute when a step of either kind of sequence is due, regardless of its send window.

    None if it goes by a date that is not among the ``values``.
    """
    if step.send_at is not None:
        return scheduled_due(step.send_at, clock)
    if step.anchor_key is not None:
        offset = timedelta(seconds=step.anchor_offset_seconds or 0)
        return anchored_due(values.get(step.anchor_key), offset, step.at_time, clock)
    delay = timedelta(seconds=step.delay_seconds or 0)
    return ongoing_due(previous, delay, step.at_time, clock)


def next_slot(moment: datetime, hours: Hours | None, clock: ContactClock) -> Slot:
    """Find the first moment, from the given one on, at which a text may go out.

    An instant is allowed if every rule allows it on the wall clock of *every* zone it goes by: the
    send window by all that the contact may be in, or by the workspace's alone if no instant of a
    week is; the law always by all. Less than ``MIN_WINDOW_LEFT`` of the hours left counts as
    outside. Hours that meet at midnight are one.
    """
    start = moment.astimezone(UTC)
    bounds = () if hours is None else hours.bounds(clock, clock.zones)
    if hours is None or not bounds:
        return Slot(start, None)
    bounds = [Bound(one.rule, _distinct(one.zones, start)) for one in bounds]
    within = _SEARCH if all(len(one.zones) == 1 for one in bounds) else _WEEK
    slot = _first_slot(start, bounds, within)
    if slot is None:
        slot = _first_slot(start, hours.bounds(clock, (clock.workspace,)), _SEARCH)
    if slot is None:
        return Slot(start + within, None, tuple(one.rule for one in bounds), is_open=False)
    return slot


def validity_seconds(now: datetime, closes_at: datetime | None) -> int:
    """Compute the validity period of a text handed over now, in whole seconds, 1 to 36,000.

    ``closes_at`` is the end of the send window, if there is one.
    """
    if closes_at is None:
        return MAX_VALIDITY_SECONDS
    left = (closes_at - VALIDITY_MARGIN - now) // timedelta(seconds=1)
    return max(1, min(MAX_VALIDITY_SECONDS, left))


def _parse_day(pair: object, field: str) -> tuple[time, time]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise InvalidFieldError(
            field, 'needs two times, like ["09:00", "20:00"]; leave a closed day out'
        )
    opens, closes = (_minutes(text, field) for text in pair)
    if opens >= closes:
        raise InvalidFieldError(
            field, 'must open before it closes; write "24:00" for the end of the day'
        )
    if closes - opens < MIN_WINDOW // timedelta(minutes=1):
        raise InvalidFieldError(field, "is too short; leave at least 15 minutes")
    return time(*divmod(opens, 60)), time(*divmod(closes % (24 * 60), 60))


def _minutes(text: object, field: str) -> int:
    """Read ``HH:MM`` as minutes since midnight, ``24:00`` included."""
    if text == "24:00":
        return 24 * 60
    if not isinstance(text, str) or not _HH_MM.fullmatch(text):
        raise InvalidFieldError(field, "has an invalid time; write HH:MM, 00:00 to 24:00")
    return int(text[:2]) * 60 + int(text[3:])


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute)


def _end_of(closes: time) -> timedelta:
    return _ONE_DAY if closes == _MIDNIGHT else _since_midnight(closes)


def _dump_closing(closes: time) -> str:
    return "24:00" if closes == _MIDNIGHT else closes.strftime("%H:%M")


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)  # its own cache keeps only eight alive


@lru_cache(maxsize=1)
def _known_zones() -> frozenset[str]:
    return frozenset(available_timezones()) - _NOT_ZONES


@lru_cache(maxsize=1024)
def _wall_zone(zones: tuple[str, ...], workspace: str) -> str:
    if workspace in zones:
        return workspace
    return min(zones, key=_westernness)


def _westernness(name: str) -> tuple[timedelta, timedelta, str]:
    """Sort key, westernmost first: offset in winter, then in summer, then the name.

    The year is fixed so that a contact's zone is the same whenever it is asked for.
    """
    offsets = sorted(_offset(_zone(name), datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 7))
    return offsets[0], offsets[1], name


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    offset = moment.astimezone(zone).utcoffset()
    if offset is None:  # pragma: no cover - a ZoneInfo always has one
        raise ValueError(f"{zone.key} has no offset")
    return offset


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    """Turn wall-clock time into UTC; skipped times move forward, double ones are the first."""
    return datetime.combine(day, at.replace(fold=0), tzinfo=zone).astimezone(UTC)


def _distinct(zones: tuple[str, ...], start: datetime) -> tuple[str, ...]:
    """Drop zones whose clocks show the same as another's during the coming days.

    A toll-free number allows forty zones but only about ten times of day. Two changes within
    ten days do not happen (a test looks), so equal offsets at both ends are equal throughout.
    """
    if len(zones) == 1:
        return zones
    kept: dict[object, str] = {}
    for name in zones:
        zone = _zone(name)
        offset = _offset(zone, start)
        steady = offset == _offset(zone, start + _WEEK + 2 * _ONE_DAY)
        kept.setdefault(offset if steady else name, name)
    return tuple(kept.values())


def _first_slot(start: datetime, bounds: Sequence[Bound], within: timedelta) -> Slot | None:
    """Intersect the open stretches of all rules in all zones until one is long enough."""
    rules = [(one.rule, zone) for one in bounds for zone in one.zones]
    stretches = [_open(start, rule, _zone(name)) for rule, name in rules]
    current = [next(stretch, None) for stretch in stretches]
    while True:
        known = [stretch for stretch in current if stretch is not None]
        if len(known) < len(current):
            return None
        opens = max(stretch[0] for stretch in known)
        closes = min(stretch[1] for stretch in known)
        if opens > start + within:
            return None
        if closes - opens >= MIN_WINDOW_LEFT:
            kept_by = [
                rule for (rule, _), stretch in zip(rules, known, strict=True) if stretch[0] > start
            ]
            return Slot(
                opens, closes, tuple(one for i, one in enumerate(kept_by) if one not in kept_by[:i])
            )
        index = min(range(len(known)), key=lambda i: known[i][1])
        current[index] = next(stretches[index], None)


def _open(start: datetime, rule: DayRule, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Yield a zone's open stretches ``[opens, closes)`` from ``start`` on, touching ones joined."""
    pending: tuple[datetime, datetime] | None = None
    for opens, closes in _open_days(start, rule, zone):
        if pending is None:
            pending = opens, closes
        elif opens == pending[1]:
            pending = pending[0], closes
        else:
            yield pending
            pending = opens, closes
        if closes.astimezone(zone).time() != _MIDNIGHT and not _turns(closes, zone):
            yield pending
            pending = None
    if pending is not None:
        yield pending


def _turns(moment: datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks change at a moment."""
    return _offset(zone, moment) != _offset(zone, moment - timedelta(microseconds=1))


def _open_days(
    start: datetime, rule: DayRule, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime]]:
    """Yield the open part of every day, cut where the clocks change."""
    for begin, end, offset in _steady(start, start + _SEARCH + _ONE_DAY, zone):
        first, last = (begin + offset).replace(tzinfo=None), (end + offset).replace(tzinfo=None)
        day = first.date()
        while day <= last.date():
            hours = rule.hours_on(day)
            if hours is not None:
                opens = max(datetime.combine(day, hours[0]), first)
                closing_day = day + _ONE_DAY if hours[1] == _MIDNIGHT else day
                closes = min(datetime.combine(closing_day, hours[1]), last)
                if opens < closes:
                    yield (opens.replace(tzinfo=UTC) - offset, closes.replace(tzinfo=UTC) - offset)
            day += _ONE_DAY


def _steady(
    start: datetime, end: datetime, zone: ZoneInfo
) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """Yield stretches of time in which a zone's offset from UTC stays the same, with the offset."""
    while start < end:
        offset = _offset(zone, start)
        begin, probe = start, start
        while probe < end:
            ahead = min(probe + _OFFSET_STEP, end)
            if _offset(zone, ahead) != offset:
                start = _change(probe, ahead, offset, zone)
                break
            probe = ahead
        else:
            start = end
        yield begin, start, offset


def _change(low: datetime, high: datetime, offset: timedelta, zone: ZoneInfo) -> datetime:
    """Find the moment at which a zone leaves an offset: after ``low``, not after ``high``."""
    low_s, high_s = int(low.timestamp()), int(high.timestamp()) + 1
    while high_s - low_s > 1:
        middle = (low_s + high_s) // 2
        if _offset(zone, datetime.fromtimestamp(middle, UTC)) == offset:
            low_s = middle
        else:
            high_s = middle
    return datetime.fromtimestamp(high_s, UTC)
