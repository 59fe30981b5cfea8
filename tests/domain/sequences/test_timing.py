"""Timing: due times, send windows, distances between texts."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from time import perf_counter
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from domain.platform.errors import InvalidFieldError
from domain.platform.provider_errors import next_midnight
from domain.sequences.timing import (
    DAYS,
    DEFAULT_WINDOW,
    MIN_WINDOW_LEFT,
    ContactClock,
    SendWindow,
    Slot,
    anchored_due,
    check_time_zone,
    next_slot,
    ongoing_due,
    scheduled_due,
    validity_seconds,
)

HOUR = timedelta(hours=1)
NEW_YORK = ContactClock(("America/New_York",), "America/New_York")
MINUTE = timedelta(minutes=1)


def clock(*zones: str, workspace: str = "America/New_York") -> ContactClock:
    return ContactClock(zones, workspace)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def window(**days: str) -> SendWindow:
    return SendWindow.parse({day: hours.split("-") for day, hours in days.items()})


def every_day(hours: str) -> SendWindow:
    return window(**dict.fromkeys(DAYS, hours))


# Zones


def test_known_zone_passes() -> None:
    assert check_time_zone("America/New_York") == "America/New_York"
    assert check_time_zone("UTC") == "UTC"


@pytest.mark.parametrize(
    "name", ["", "america/new_york", "Mars/Olympus", "America", "../etc/passwd", "EST ", "\0"]
)
def test_unknown_zone_error_gives_an_example(name: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_time_zone(name, field="contact.time_zone")
    assert caught.value.field == "contact.time_zone"
    assert "America/New_York" in caught.value.reason


def test_given_zone_precedes_number_and_workspace() -> None:
    def zones(time_zone: str | None, phone: str) -> tuple[str, ...]:
        made = ContactClock.of(time_zone=time_zone, phone=phone, workspace="Europe/Paris")
        return made.zones

    assert zones("Asia/Tokyo", "+14155550199") == ("Asia/Tokyo",)
    assert zones(None, "+14155550199") == ("America/Los_Angeles",)
    assert len(zones(None, "+18005550199")) > 30
    assert zones(None, "+15555550123") == ("Europe/Paris",)


@pytest.mark.parametrize(
    ("zones", "workspace", "expected"),
    [
        (("America/New_York",), "Europe/Paris", "America/New_York"),
        (("America/Chicago", "America/New_York"), "America/New_York", "America/New_York"),
        (("America/Chicago", "America/New_York"), "Europe/Paris", "America/Chicago"),
        (("America/Denver", "America/Phoenix"), "Europe/Paris", "America/Phoenix"),
        (("Australia/Sydney", "Australia/Perth"), "Europe/Paris", "Australia/Perth"),
        (("Europe/Paris", "Europe/Berlin"), "UTC", "Europe/Berlin"),
    ],
)
def test_wall_zone_is_the_workspaces_or_westernmost(
    zones: tuple[str, ...], workspace: str, expected: str
) -> None:
    """Row "due time, scheduled": where the number allows several zones."""
    assert ContactClock(zones, workspace).wall_zone.key == expected
    assert ContactClock(zones[::-1], workspace).wall_zone.key == expected


# Reading windows


def test_the_default_window_is_nine_to_eight_and_sundays_from_noon() -> None:
    assert DEFAULT_WINDOW.dump() == {
        **{day: ["09:00", "20:00"] for day in DAYS[:6]},
        "sun": ["12:00", "20:00"],
    }


def test_a_window_may_run_to_the_end_of_the_day() -> None:
    raw = {"mon": ["00:00", "24:00"], "tue": ["23:45", "24:00"]}
    assert SendWindow.parse(raw).dump() == raw
    assert SendWindow.parse(raw).hours["mon"] == (time(0), time(0))


@pytest.mark.parametrize(
    ("raw", "field", "remedy"),
    [
        ({}, "send_window", "null"),
        ({"monday": ["09:00", "20:00"]}, "send_window.monday", "mon, tue"),
        ({"Mon": ["09:00", "20:00"]}, "send_window.Mon", "mon, tue"),
        ({"mon": ["9:00", "20:00"]}, "send_window.mon", "HH:MM"),
        ({"mon": ["09:00", "25:00"]}, "send_window.mon", "HH:MM"),
        ({"mon": ["09:60", "20:00"]}, "send_window.mon", "HH:MM"),
        ({"mon": ["09:00:00", "20:00"]}, "send_window.mon", "HH:MM"),
        ({"mon": ["24:00", "24:00"]}, "send_window.mon", "open before"),
        ({"mon": ["20:00", "09:00"]}, "send_window.mon", "24:00"),
        ({"mon": ["09:00", "00:00"]}, "send_window.mon", "24:00"),
        ({"mon": ["09:00", "09:00"]}, "send_window.mon", "open before"),
        ({"mon": ["09:00", "09:14"]}, "send_window.mon", "15 minutes"),
        ({"mon": ["09:00"]}, "send_window.mon", "two times"),
        ({"mon": []}, "send_window.mon", "leave a closed day out"),
        ({"tue": ["09:00", "20:00"], "mon": "ab"}, "send_window.mon", "two times"),
    ],
)
def test_invalid_window_error_names_the_day(
    raw: dict[str, list[str]], field: str, remedy: str
) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        SendWindow.parse(raw)
    assert caught.value.field == field
    assert remedy in caught.value.reason


def test_window_without_days_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SendWindow({})


def minutes_pair() -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(0, 1440 - 15), st.integers(15, 1440)).filter(
        lambda pair: pair[1] - pair[0] >= 15
    )


def hhmm(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


OFTEN = st.sampled_from([(0, 1440), (0, 90), (90, 1440), (120, 150), (60, 120), (540, 1200)])
DAYS_OPEN = st.sets(st.sampled_from(DAYS), min_size=1).map(sorted)
HOURS_OPEN = OFTEN | minutes_pair()


@st.composite
def windows(draw: st.DrawFn) -> SendWindow:
    """Draw any window, preferring midnight and the hours in which clocks change."""
    pairs = {day: draw(HOURS_OPEN) for day in draw(DAYS_OPEN)}
    return SendWindow.parse({day: [hhmm(a), hhmm(b)] for day, (a, b) in pairs.items()})


@given(windows())
def test_window_reads_back_unchanged(any_window: SendWindow) -> None:
    assert SendWindow.parse(any_window.dump()) == any_window


# Due times


@pytest.mark.parametrize(
    ("previous", "delay", "at_time", "expected"),
    [
        ("2026-11-23T18:00", timedelta(hours=5), None, "2026-11-23T23:00"),
        ("2026-11-23T18:00", timedelta(days=2), time(9, 30), "2026-11-25T14:30"),
        # 23:30 on Monday in New York is Tuesday in UTC
        ("2026-11-24T04:30", timedelta(days=1), time(9, 30), "2026-11-24T14:30"),
        ("2026-11-23T18:00", timedelta(0), time(9, 30), "2026-11-24T14:30"),
        ("2026-11-23T14:30", timedelta(0), time(9, 30), "2026-11-23T14:30"),
        ("2026-11-23T12:00", timedelta(0), time(9, 30), "2026-11-23T14:30"),
        # across both changes of the clocks
        ("2026-03-07T18:00", timedelta(days=1), time(9, 30), "2026-03-08T13:30"),
        ("2026-10-31T18:00", timedelta(days=1), time(9, 30), "2026-11-01T14:30"),
    ],
)
def test_days_are_counted_on_the_contacts_calendar(
    previous: str, delay: timedelta, at_time: time | None, expected: str
) -> None:
    """Row "due time, ongoing"."""
    assert ongoing_due(utc(previous), delay, at_time, NEW_YORK) == utc(expected)


ZONES = st.sampled_from(
    [
        *("America/New_York", "Europe/London", "Australia/Lord_Howe", "America/St_Johns"),
        *("Africa/Casablanca", "America/Havana", "Asia/Gaza", "Pacific/Chatham"),
        *("Antarctica/Troll", "Asia/Kolkata", "Pacific/Apia", "Africa/Cairo", "UTC"),
    ]
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - hypothesis wants the bounds naive
TIMES = st.times().map(lambda t: t.replace(second=0, microsecond=0))


@given(MOMENTS, st.integers(0, 60), TIMES, ZONES)
def test_time_of_day_is_never_before_the_previous_text(
    previous: datetime, days: int, at_time: time, zone: str
) -> None:
    """Row "due time, ongoing": the next 09:30 if that is past."""
    due = ongoing_due(previous, timedelta(days=days), at_time, clock(zone))
    assert due >= previous
    assert due.tzinfo is UTC
    local = previous.astimezone(ZoneInfo(zone)).date()
    days_on = (due.astimezone(ZoneInfo(zone)).date() - local).days
    # where clocks skip midnight or the whole hour before it, the time is on the next day
    assert days <= days_on <= days + 1 + (at_time.hour >= 23)
    if days > 0 and 4 <= at_time.hour < 23:
        assert days_on == days
        assert due.astimezone(ZoneInfo(zone)).time() == at_time


@pytest.mark.parametrize(
    ("send_at", "zone", "expected"),
    [
        ("2026-12-01T09:30", "America/New_York", "2026-12-01T14:30"),
        ("2026-07-01T09:30", "America/New_York", "2026-07-01T13:30"),
        ("2026-03-08T02:30", "America/New_York", "2026-03-08T07:30"),  # skipped: 03:30 EDT
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30"),  # twice: the first, EDT
        ("2026-12-01T09:30", "Asia/Kolkata", "2026-12-01T04:00"),
        ("2026-10-04T02:15", "Australia/Lord_Howe", "2026-10-03T15:45"),  # a gap of 30 minutes
    ],
)
def test_scheduled_time_is_the_contacts_wall_clock(send_at: str, zone: str, expected: str) -> None:
    """Row "due time, scheduled"."""
    assert scheduled_due(datetime.fromisoformat(send_at), clock(zone)) == utc(expected)


def test_scheduled_time_with_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="no zone"):
        scheduled_due(utc("2026-12-01T09:30"), NEW_YORK)


@given(MOMENTS, ZONES)
def test_a_scheduled_time_shows_on_the_contacts_clock_unless_skipped(
    moment: datetime, zone: str
) -> None:
    local = moment.astimezone(ZoneInfo(zone))
    due = scheduled_due(local.replace(tzinfo=None), clock(zone))
    assert due.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local.replace(tzinfo=None)
    assert due <= moment


@pytest.mark.parametrize(
    ("value", "offset", "at_time", "expected"),
    [
        ("2026-12-03", timedelta(days=-1), time(10), "2026-12-02T15:00"),
        ("2026-12-03", timedelta(0), None, "2026-12-03T05:00"),
        ("2026-12-03", timedelta(hours=-3), None, "2026-12-03T02:00"),
        (" 2026-12-03T09:30 ", timedelta(hours=-1), None, "2026-12-03T13:30"),
        ("2026-12-03T09:30", timedelta(days=1), time(8), "2026-12-04T13:00"),
        ("2026-12-03T02:00Z", timedelta(0), time(9), "2026-12-02T14:00"),  # the 2nd over there
        ("2026-12-03T02:00+02:00", timedelta(minutes=5), None, "2026-12-03T00:05"),
        ("2026-03-09", timedelta(days=-1), time(2, 30), "2026-03-08T07:30"),  # skipped there
        ("2026-11-02", timedelta(days=-1), time(1, 30), "2026-11-01T05:30"),  # the first of two
        ("soon", timedelta(0), None, None),
        ("0001-01-01", timedelta(days=-1), time(9), None),
        (20261203, timedelta(0), None, None),
        (None, timedelta(0), None, None),
    ],
)
def test_step_is_due_by_its_date(
    value: object, offset: timedelta, at_time: time | None, expected: str | None
) -> None:
    due = anchored_due(value, offset, at_time, NEW_YORK)
    assert due == (None if expected is None else utc(expected))


# Slots


def test_without_a_window_any_time_is_allowed() -> None:
    moment = utc("2026-11-23T03:00")
    assert next_slot(moment, None, NEW_YORK) == Slot(moment, None)


@pytest.mark.parametrize(
    ("moment", "at", "closes_at"),
    [
        ("2026-11-23T18:00", "2026-11-23T18:00", "2026-11-24T01:00"),  # Monday 13:00
        ("2026-11-23T13:59", "2026-11-23T14:00", "2026-11-24T01:00"),  # before 09:00
        ("2026-11-23T14:00", "2026-11-23T14:00", "2026-11-24T01:00"),  # 09:00 is inside
        ("2026-11-24T01:00", "2026-11-24T14:00", "2026-11-25T01:00"),  # 20:00 is outside
        ("2026-11-24T00:58:30", "2026-11-24T00:58:30", "2026-11-24T01:00"),  # 90 s left
        ("2026-11-24T00:58:31", "2026-11-24T14:00", "2026-11-25T01:00"),  # 89 s left
        ("2026-11-22T15:00", "2026-11-22T17:00", "2026-11-23T01:00"),  # Sunday from noon
        ("2026-03-08T05:00", "2026-03-08T16:00", "2026-03-09T00:00"),  # Sunday, clocks on
        ("2026-11-01T05:00", "2026-11-01T17:00", "2026-11-02T01:00"),  # Sunday, clocks back
    ],
)
def test_a_text_outside_the_window_waits_for_the_next(moment: str, at: str, closes_at: str) -> None:
    """Row "outside the send window"; less than 90 s of window left counts as outside."""
    slot = next_slot(utc(moment), DEFAULT_WINDOW, NEW_YORK)
    assert slot == Slot(utc(at), utc(closes_at))


def test_slot_is_inside_all_possible_zones() -> None:
    """Row "outside the send window": inside the window in all zones."""
    coasts = clock("America/New_York", "America/Los_Angeles")
    assert next_slot(utc("2026-11-23T14:00"), DEFAULT_WINDOW, coasts) == Slot(
        utc("2026-11-23T17:00"), utc("2026-11-24T01:00")
    )


@pytest.mark.parametrize("hours", ["09:00-12:00", "09:00-12:01"])
def test_zones_without_a_common_hour_use_the_workspaces(hours: str) -> None:
    """Row "outside the send window": if that leaves nothing, in the workspace's zone."""
    coasts = clock("America/New_York", "America/Los_Angeles", workspace="Europe/Paris")
    slot = next_slot(utc("2026-11-23T18:00"), every_day(hours), coasts)
    assert slot.at == utc("2026-11-24T08:00")


def test_slot_waits_for_the_weeks_only_common_hour() -> None:
    coasts = clock("America/New_York", "America/Los_Angeles", workspace="Europe/Paris")
    rare = window(**(dict.fromkeys(DAYS, "09:00-12:00") | {"thu": "09:00-18:00"}))
    slot = next_slot(utc("2026-11-27T18:00"), rare, coasts)
    assert slot == Slot(utc("2026-12-03T17:00"), utc("2026-12-03T23:00"))


def test_windows_that_meet_at_midnight_merge() -> None:
    joined = window(mon="20:00-24:00", tue="00:00-02:00")
    slot = next_slot(utc("2026-11-24T04:59:30"), joined, NEW_YORK)
    assert slot == Slot(utc("2026-11-24T04:59:30"), utc("2026-11-24T07:00"))


def test_a_window_to_midnight_ends_there_if_the_next_day_begins_later() -> None:
    slot = next_slot(
        utc("2026-11-24T04:00"), window(mon="20:00-24:00", tue="01:00-02:00"), NEW_YORK
    )
    assert slot == Slot(utc("2026-11-24T04:00"), utc("2026-11-24T05:00"))


def test_a_window_that_never_closes_leaves_the_whole_validity_period() -> None:
    moment = utc("2026-11-24T04:59:30")
    slot = next_slot(moment, every_day("00:00-24:00"), NEW_YORK)
    assert slot.at == moment
    assert validity_seconds(moment, slot.closes_at) == 36_000


def test_a_window_inside_the_skipped_hour_waits_for_next_week() -> None:
    slot = next_slot(utc("2026-03-08T05:00"), window(sun="02:15-02:45"), NEW_YORK)
    assert slot == Slot(utc("2026-03-15T06:15"), utc("2026-03-15T06:45"))


def test_a_window_inside_the_doubled_hour_opens_twice() -> None:
    double = window(sun="01:15-01:45")
    first = next_slot(utc("2026-11-01T04:00"), double, NEW_YORK)
    assert first == Slot(utc("2026-11-01T05:15"), utc("2026-11-01T05:45"))
    second = next_slot(utc("2026-11-01T05:45"), double, NEW_YORK)
    assert second == Slot(utc("2026-11-01T06:15"), utc("2026-11-01T06:45"))


def test_a_date_that_a_country_skipped_is_skipped() -> None:
    """Samoa had no 30 December 2011 (tz database, Pacific/Apia)."""
    slot = next_slot(utc("2011-12-30T09:00"), window(fri="09:00-20:00"), clock("Pacific/Apia"))
    assert slot.at.astimezone(ZoneInfo("Pacific/Apia")).date() == date(2012, 1, 6)


def inside(moment: datetime, hours: SendWindow, zones: Sequence[ZoneInfo]) -> bool:
    """Check the rule the slow way: every local time is between a window's start and end."""
    for zone in zones:
        local = moment.astimezone(zone)
        window = hours.hours.get(DAYS[local.weekday()])
        if window is None:
            return False
        opens, closes = window
        if local.time() < opens or (closes != time.min and local.time() >= closes):
            return False
    return True


AROUND_CHANGES = st.builds(
    lambda day, minutes: datetime.fromisoformat(day).replace(tzinfo=UTC) + minutes * MINUTE,
    st.sampled_from(
        [
            *("2026-02-15", "2026-03-08", "2026-03-22", "2026-03-29", "2026-04-05"),
            *("2026-06-10", "2026-09-26", "2026-10-04", "2026-10-25", "2026-11-01"),
        ]
    ),
    st.integers(-2 * 1440, 2 * 1440),
)


@given(AROUND_CHANGES, windows(), st.lists(ZONES, min_size=1, max_size=3, unique=True), ZONES)
@example(utc("2026-11-01T04:10"), every_day("00:30-01:30"), ["America/New_York"], "UTC")
def test_slot_is_the_first_moment_inside_every_zones_window(
    moment: datetime, hours: SendWindow, zones: list[str], workspace: str
) -> None:
    """Row "outside the send window": the next allowed moment, minute by minute."""
    slot = next_slot(moment, hours, ContactClock(tuple(zones), workspace))
    assert slot.closes_at is not None
    assert slot.at >= moment
    assert slot.closes_at - slot.at >= MIN_WINDOW_LEFT
    possible = used = [ZoneInfo(zone) for zone in zones]
    if not inside(slot.at, hours, used):
        used = [ZoneInfo(workspace)]  # only if a whole week leaves nothing
        assert len(zones) > 1
        week = (moment + step * MINUTE for step in range(7 * 1440))
        opens = [inside(minute, hours, possible) for minute in week]
        assert not any(a and b for a, b in pairwise(opens))
    waiting = int((slot.at - moment) / MINUTE)
    before = [inside(moment + step * MINUTE, hours, used) for step in range(waiting)]
    assert not any(a and b for a, b in pairwise(before))
    stretch = min(slot.closes_at - slot.at, timedelta(days=2))
    steps = range(int(stretch / MINUTE))
    assert all(inside(slot.at + step * MINUTE, hours, used) for step in steps)
    if stretch < timedelta(days=2):
        assert not inside(slot.closes_at, hours, used)


@given(MOMENTS, windows(), ZONES)
def test_a_slot_is_its_own_next_slot(moment: datetime, hours: SendWindow, zone: str) -> None:
    slot = next_slot(moment, hours, clock(zone))
    again = next_slot(slot.at, hours, clock(zone))
    assert again.at == slot.at
    assert slot.closes_at is not None
    assume(slot.closes_at - slot.at < timedelta(days=7))
    assert again == slot


@given(MOMENTS, windows(), st.integers(0, 100_000), ZONES)
def test_a_later_text_never_gets_an_earlier_slot(
    moment: datetime, hours: SendWindow, seconds: int, zone: str
) -> None:
    later = moment + timedelta(seconds=seconds)
    assert next_slot(moment, hours, clock(zone)).at <= next_slot(later, hours, clock(zone)).at


def test_no_zone_changes_its_clocks_twice_within_ten_days() -> None:
    """Slot search relies on it; future years are as the tz database has them."""
    days = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(4 * 365)]
    for name in sorted(available_timezones() - {"localtime"}):
        zone = ZoneInfo(name)
        offsets = [day.astimezone(zone).utcoffset() for day in days]
        changes = [n for n, (a, b) in enumerate(pairwise(offsets)) if a != b]
        assert all(b - a > 10 for a, b in pairwise(changes)), name


def test_slot_is_found_quickly() -> None:
    """It runs for every text, so a toll-free number's forty zones must not cost milliseconds."""
    toll_free = ContactClock.of(time_zone=None, phone="+18005550199", workspace="UTC")
    moment = utc("2026-11-23T18:00")
    next_slot(moment, DEFAULT_WINDOW, toll_free)
    took = []
    for _ in range(20):
        started = perf_counter()
        next_slot(moment, DEFAULT_WINDOW, toll_free)
        took.append(perf_counter() - started)
    assert min(took) < 0.01


# Validity and distance


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(seconds=90), 60),
        (timedelta(hours=2), 7170),
        (timedelta(hours=10), 35_970),
        (timedelta(hours=10, seconds=30), 36_000),
        (timedelta(days=3), 36_000),
        (timedelta(seconds=31, microseconds=900_000), 1),
        (timedelta(seconds=30), 1),
        (timedelta(seconds=-500), 1),
    ],
)
def test_a_text_stays_valid_until_just_before_the_window_ends(
    left: timedelta, expected: int
) -> None:
    """Row "outside the send window": the smaller of 36,000 s and the window's end less 30 s."""
    now = utc("2026-11-23T18:00")
    assert validity_seconds(now, now + left) == expected


def test_a_text_without_a_window_is_valid_as_long_as_the_provider_allows() -> None:
    assert validity_seconds(utc("2026-11-23T18:00"), None) == 36_000


@pytest.mark.parametrize(
    ("moment", "zone", "expected"),
    [
        ("2026-11-23T18:00", "America/Los_Angeles", "2026-11-24T08:00"),
        ("2026-07-01T07:00", "America/Los_Angeles", "2026-07-02T07:00"),
        ("2026-03-08T08:00", "America/Los_Angeles", "2026-03-09T07:00"),
        ("2026-03-07T12:00", "America/Havana", "2026-03-08T05:00"),  # 00:00 is skipped there
    ],
)
def test_the_next_day_begins_at_local_midnight(moment: str, zone: str, expected: str) -> None:
    assert next_midnight(utc(moment), zone) == utc(expected)
