"""Hours for people: when a conversation comes back, when a contact had better not be texted."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from domain.messaging.quiet_hours import quiet_hours
from domain.messaging.snoozing import SendLater, SnoozeUntil, send_offers, snooze_offers
from domain.sequences.timing import ContactClock, SendWindow

NEW_YORK = "America/New_York"
LATER, TOMORROW, NEXT_WEEK = SnoozeUntil


@pytest.mark.parametrize(
    ("now", "offers"),
    [
        ("2026-12-02T10:40", {LATER: "02T13:00", TOMORROW: "03T09:00", NEXT_WEEK: "07T09:00"}),
        ("2026-12-02T17:59", {LATER: "02T20:00", TOMORROW: "03T09:00", NEXT_WEEK: "07T09:00"}),
        ("2026-12-02T18:00", {TOMORROW: "03T09:00", NEXT_WEEK: "07T09:00"}),
        ("2026-12-06T22:00", {TOMORROW: "07T09:00"}),
        ("2026-12-07T00:30", {LATER: "07T03:00", TOMORROW: "08T09:00", NEXT_WEEK: "14T09:00"}),
    ],
)
def test_snoozed_conversations_come_back_later_tomorrow_or_on_monday(
    now: str, offers: dict[SnoozeUntil, str]
) -> None:
    zone = ZoneInfo(NEW_YORK)
    found = snooze_offers(datetime.fromisoformat(now).replace(tzinfo=zone), NEW_YORK)
    local = {code: f"{at.astimezone(zone):%dT%H:%M}" for code, at in found.items()}
    assert local == offers


@pytest.mark.parametrize(
    ("now", "offers"),
    [
        ("2026-12-02T10:40:31", ["02T11:40", "03T09:00", "07T09:00"]),
        ("2026-12-06T22:00:00", ["06T23:00", "07T09:00"]),
        ("2026-12-07T00:30:00", ["07T01:30", "08T09:00", "14T09:00"]),
    ],
)
def test_reply_is_sent_in_an_hour_tomorrow_or_on_monday(now: str, offers: list[str]) -> None:
    zone = ZoneInfo(NEW_YORK)
    found = send_offers(datetime.fromisoformat(now).replace(tzinfo=zone), NEW_YORK)
    assert [f"{at.astimezone(zone):%dT%H:%M}" for at in found.values()] == offers
    assert list(found) == list(SendLater)[: len(offers)]


def test_tomorrow_morning_is_nine_though_the_clocks_change() -> None:
    now = datetime(2026, 3, 7, 17, tzinfo=UTC)  # noon of the day before
    tomorrow = snooze_offers(now, NEW_YORK)[TOMORROW]
    assert tomorrow == datetime(2026, 3, 8, 13, tzinfo=UTC)


def test_quiet_hours_are_the_sequences_or_the_careful_default() -> None:
    night = datetime(2026, 12, 3, 4, 40, tzinfo=UTC)  # Wednesday, 11:40 pm
    clock = ContactClock((NEW_YORK,), "UTC")
    quiet = quiet_hours(night, None, clock)
    assert quiet is not None
    assert (quiet.zone, quiet.is_sure) == (NEW_YORK, True)
    assert quiet.ends_at == datetime(2026, 12, 3, 14, tzinfo=UTC)
    assert quiet_hours(quiet.ends_at, None, clock) is None
    late = SendWindow({"wed": (time(20), time(0)), "thu": (time(0), time(2))})
    assert quiet_hours(night, late, clock) is None
    closed = quiet_hours(night + timedelta(hours=3), late, clock)
    assert closed is not None
    assert closed.ends_at == datetime(2026, 12, 10, 1, tzinfo=UTC)


def test_where_a_contact_may_be_in_several_zones_the_quiet_one_is_told() -> None:
    morning = datetime(2026, 12, 2, 15, tzinfo=UTC)  # 10 am in New York, 7 am in Los Angeles
    quiet = quiet_hours(morning, None, ContactClock((NEW_YORK, "America/Los_Angeles"), "UTC"))
    assert quiet is not None
    assert (quiet.zone, quiet.is_sure) == ("America/Los_Angeles", False)
    assert quiet.ends_at == datetime(2026, 12, 2, 17, tzinfo=UTC)
