"""When a text may go and why: the reasons are what the decision was made of."""

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from domain.sequences.departures import Departure, NextText, departure
from domain.sequences.sending_hours import ANY_TIME, SendingHours
from domain.sequences.timing import DAYS, ContactClock, SendWindow
from domain.statuses.enrollments import WaitReason
from domain.statuses.sequences import Purpose

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOW = datetime(2026, 11, 23, 18, tzinfo=UTC)  # Monday, noon in Chicago
CHICAGO = ContactClock(("America/Chicago",), "America/Chicago")
NEW_ORLEANS = ContactClock(("America/Chicago",), "America/Chicago", ("US-LA",))
NINE_TO_FIVE = SendWindow(dict.fromkeys(DAYS, (time(9), time(17))))


def text(due_at: datetime, hours: SendingHours = ANY_TIME, **more: Any) -> NextText:
    return NextText(due_at, hours, **{"clock": CHICAGO, **more})


def moves(found: Departure) -> list[tuple[str, str, str]]:
    return [(one.code, one.detail["from"], one.detail["to"]) for one in found.reasons]


def test_due_text_goes_at_once_and_without_a_reason() -> None:
    for due_at in (NOW - DAY, NOW, NOW + timedelta(milliseconds=200)):
        assert departure(text(due_at), NOW) == Departure(NOW, NOW, None, ())
    later = departure(text(NOW + HOUR), NOW)
    assert (later.earliest, later.at, later.reasons) == (NOW + HOUR, NOW + HOUR, ())


@pytest.mark.parametrize(
    ("delay", "enough", "gap"),
    [
        (timedelta(0), HOUR, timedelta(0)),
        (timedelta(minutes=5), HOUR, timedelta(minutes=5)),
        (HOUR, HOUR, HOUR),
        (timedelta(days=2), HOUR, HOUR),
        (timedelta(days=2), 3 * HOUR, 3 * HOUR),
        (timedelta(days=2), timedelta(0), timedelta(0)),
    ],
)
def test_two_texts_stay_apart_whatever_was_overdue(
    delay: timedelta, enough: timedelta, gap: timedelta
) -> None:
    """Row "two texts of one enrollment"."""
    apart: dict[str, Any] = {"last_sent_at": NOW, "gap": delay, "enough": enough}
    overdue = departure(text(NOW - DAY, **apart), NOW - DAY)
    assert overdue.at == NOW + gap
    assert [one.code for one in overdue.reasons] == [WaitReason.SPACING]
    assert overdue.reasons[0].detail["seconds"] == enough.total_seconds()
    assert departure(text(NOW + gap, **apart), NOW).at == NOW + gap
    assert departure(text(NOW + 9 * DAY, **apart), NOW).reasons == ()


def test_first_text_keeps_no_distance() -> None:
    assert departure(text(NOW, gap=2 * DAY, enough=HOUR), NOW).at == NOW


def test_each_postponement_begins_where_the_last_one_ended() -> None:
    due = NOW + 3 * HOUR
    tried, sent = NOW + 4 * HOUR, NOW + 3 * HOUR + HOUR / 2
    found = departure(
        text(
            due,
            SendingHours(NINE_TO_FIVE),
            next_try_at=tried,
            last_sent_at=sent,
            gap=HOUR,
            enough=HOUR,
        ),
        NOW,
    )
    assert moves(found) == [
        ("retry", "2026-11-23T21:00:00.000Z", "2026-11-23T22:00:00.000Z"),
        ("spacing", "2026-11-23T22:00:00.000Z", "2026-11-23T22:30:00.000Z"),
    ]
    assert found.closes_at == datetime(2026, 11, 23, 23, tzinfo=UTC)
    evening = departure(text(NOW + 6 * HOUR, SendingHours(NINE_TO_FIVE)), NOW)
    assert moves(evening) == [("window", "2026-11-24T00:00:00.000Z", "2026-11-24T15:00:00.000Z")]
    assert evening.reasons[0].text == (
        "moved into the send window, from 2026-11-23 18:00 to 2026-11-24 09:00 (America/Chicago)"
    )


def test_law_and_holidays_are_named() -> None:
    """On Christmas nothing is sold in Louisiana; there is a window besides."""
    hours = SendingHours(NINE_TO_FIVE, Purpose.MARKETING)
    eve = datetime(2026, 12, 25, 3, tzinfo=UTC)  # Thursday, 9 p.m.
    found = departure(text(eve, hours, clock=NEW_ORLEANS), eve)
    assert found.at == datetime(2026, 12, 26, 15, tzinfo=UTC)
    assert found.waits_for == (WaitReason.WINDOW, WaitReason.PACK, WaitReason.HOLIDAY)
    _, pack, holiday = found.reasons
    assert "Louisiana" in pack.text
    assert set(pack.detail["packs"]) == {"us@1992", "us-la@2025"}
    assert pack.detail["is_open"]
    assert holiday.text == "no texts on Christmas Day"
    assert holiday.detail["days"] == [date(2026, 12, 25).isoformat()]
    noon = departure(text(eve - 9 * HOUR, hours, clock=NEW_ORLEANS), eve - 9 * HOUR)
    assert (noon.at, noon.reasons) == (eve - 9 * HOUR, ())


def test_text_that_is_allowed_nowhere_ahead_does_not_go() -> None:
    """Sundays only, where nothing is sold on Sundays: nobody is texted against either rule."""
    sundays = SendingHours(SendWindow({"sun": (time(12), time(20))}), Purpose.MARKETING)
    for days in range(8):
        found = departure(text(NOW + days * DAY, sundays, clock=NEW_ORLEANS), NOW + days * DAY)
        assert found.at >= NOW + days * DAY + 7 * DAY
        assert found.reasons[-1].detail["is_open"] is False
        assert "give a state or a time zone" in found.reasons[-1].text


def test_cap_counts_the_last_24_hours_and_the_lowest_one_binds() -> None:
    """A text leaves the count when it is a day old; then its window is asked again."""
    sent = tuple(NOW - hours * HOUR for hours in (30, 23, 20, 5))
    for most, left in ((3, 1), (2, 4), (1, 19)):
        hours = SendingHours(None, texts_per_day=most)
        found = departure(text(NOW, hours, recent=sent), NOW)
        assert (found.at, found.waits_for) == (NOW + left * HOUR, (WaitReason.CAP,))
        assert departure(text(NOW, hours, recent=sent), found.at).at == found.at
    assert departure(text(NOW, SendingHours(texts_per_day=4), recent=sent), NOW).at == NOW
    by_day = SendingHours(NINE_TO_FIVE, texts_per_day=1)
    found = departure(text(NOW, by_day, recent=(NOW - 17 * HOUR,)), NOW)
    assert found.waits_for == (WaitReason.CAP, WaitReason.WINDOW)
    assert found.at == datetime(2026, 11, 24, 15, tzinfo=UTC)

    tampa = ContactClock(("America/New_York",), "America/New_York", ("US-FL",))
    recent = tuple(NOW - hours * HOUR for hours in (3, 2, 1))
    for purpose, by in ((Purpose.MARKETING, "us-fl@2021"), (Purpose.INFORMATIONAL, None)):
        found = departure(text(NOW, SendingHours(None, purpose), clock=tampa, recent=recent), NOW)
        assert [one.detail["by"] for one in found.reasons if one.code == WaitReason.CAP] == (
            [] if by is None else [by]
        )
        strict = SendingHours(None, purpose, texts_per_day=2).cap_at(NOW, tampa)
        assert strict == (2, "workspace")


def test_step_is_missed_when_it_can_only_go_too_long_after_its_time() -> None:
    """Its time is its own timing moved into its hours: what these postpone is not late."""
    hours = SendingHours(NINE_TO_FIVE, texts_per_day=1)
    evening, opens = NOW + 7 * HOUR, datetime(2026, 11, 24, 15, tzinfo=UTC)
    for late, missed in (
        (timedelta(0), None),
        (HOUR, None),
        (HOUR + timedelta(seconds=1), opens),
        (9 * HOUR, opens),
    ):
        found = departure(text(evening, hours, patience=HOUR), opens + late)
        assert found.missed == missed, late
    assert departure(text(evening, hours), opens + 9 * DAY).missed is None
    capped = text(NOW, hours, patience=DAY, recent=(NOW - HOUR,))
    assert departure(capped, NOW).missed is None
    assert departure(text(NOW, hours, patience=HOUR, recent=(NOW - HOUR,)), NOW).missed == NOW


def test_capped_texts_go_at_the_first_minute_that_a_count_allows() -> None:
    """Against brute force: minute by minute, whatever went when and whatever the window."""
    rng = random.Random(20261201)
    for _ in range(40):
        most = rng.randint(1, 4)
        sent = [NOW - timedelta(minutes=rng.randint(0, 40 * 60)) for _ in range(rng.randint(0, 9))]
        window = rng.choice((None, NINE_TO_FIVE))
        hours = SendingHours(window, texts_per_day=most)
        due = NOW + timedelta(minutes=rng.randint(-60, 20 * 60))
        found = departure(text(due, hours, recent=tuple(sent)), NOW)
        moment = max(due, NOW)
        while True:
            counted = [at for at in sent if moment - DAY < at <= moment]
            there = moment.astimezone(ZoneInfo("America/Chicago"))
            last = there + timedelta(seconds=89)  # less is left of the window than a text needs
            if len(counted) < most and (window is None or 9 <= there.hour <= last.hour < 17):
                break
            moment += timedelta(minutes=1)
        assert found.at == moment, (most, sent, due)
