"""Moments to come, as people say them: when a conversation comes back, when a reply goes."""

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

MORNING = time(9)
"""When work begins."""

_LATER = timedelta(hours=3)
_EVENING = time(20)
_DAY = timedelta(days=1)


class SnoozeUntil(StrEnum):
    """A moment to come, by the wall clock."""

    LATER_TODAY = "later_today"
    TOMORROW = "tomorrow"
    NEXT_WEEK = "next_week"


class SendLater(StrEnum):
    """When a reply may go, by the wall clock of whom it goes to."""

    IN_AN_HOUR = "in_an_hour"
    TOMORROW = "tomorrow"
    MONDAY = "monday"


def snooze_offers(now: datetime, zone: str) -> dict[SnoozeUntil, datetime]:
    """List when a conversation may come back: moments in UTC, by the clock of a zone.

    Later today is in some three hours, at a full hour, and is left out in the evening; tomorrow
    and next Monday begin in the morning. Next Monday is left out on a Sunday, whose tomorrow it is.
    """
    local = now.astimezone(ZoneInfo(zone))
    later = (local + _LATER).replace(minute=0, second=0, microsecond=0)
    found = {}
    if later.date() == local.date() and later.time() <= _EVENING:
        found[SnoozeUntil.LATER_TODAY] = later.astimezone(UTC)
    found[SnoozeUntil.TOMORROW] = _morning(local + _DAY)
    monday = _next_monday(local)
    if monday != found[SnoozeUntil.TOMORROW]:
        found[SnoozeUntil.NEXT_WEEK] = monday
    return found


def send_offers(now: datetime, zone: str) -> dict[SendLater, datetime]:
    """List when a reply may go later: moments in UTC, by the clock of a zone.

    Tomorrow and the next Monday begin in the morning; that Monday is left out if it is tomorrow.
    """
    local = now.astimezone(ZoneInfo(zone))
    found = {
        SendLater.IN_AN_HOUR: (now + timedelta(hours=1)).replace(second=0, microsecond=0),
        SendLater.TOMORROW: _morning(local + _DAY),
    }
    monday = _next_monday(local)
    if monday != found[SendLater.TOMORROW]:
        found[SendLater.MONDAY] = monday
    return found


def _next_monday(local: datetime) -> datetime:
    return _morning(local + (7 - local.weekday()) * _DAY)


def _morning(local: datetime) -> datetime:
    return datetime.combine(local.date(), MORNING, tzinfo=local.tzinfo).astimezone(UTC)
