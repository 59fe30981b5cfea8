"""Due times of waiting steps after a pause and in another time zone."""

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.enrollments.rescheduling import rescheduled_due, resumed_due
from domain.sequences.timing import ContactClock

NEW_YORK = ContactClock.of(time_zone="America/New_York", phone="+12125550100", workspace="UTC")
LOS_ANGELES = ContactClock.of(
    time_zone="America/Los_Angeles", phone="+12125550100", workspace="UTC"
)
DUE = datetime(2026, 12, 10, 14, 30, tzinfo=UTC)  # 09:30 in New York
HALF_PAST_NINE = time(9, 30)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def resumed(
    paused_at: datetime, now: datetime, at_time: time | None = None, send_at: datetime | None = None
) -> datetime:
    return resumed_due(DUE, paused_at, now, at_time=at_time, send_at=send_at, clock=NEW_YORK)


@given(
    left=st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
    away=st.timedeltas(timedelta(0), timedelta(days=400)),
)
def test_resume_keeps_the_remaining_delay(left: timedelta, away: timedelta) -> None:
    """A paused enrollment keeps its remaining delay."""
    paused_at = DUE - left
    now = paused_at + away
    assert resumed(paused_at, now) - now == left


def test_resume_keeps_overdue_steps_overdue() -> None:
    assert resumed(DUE + HOUR, DUE + DAY) == DUE


def test_resume_keeps_a_date() -> None:
    send_at = datetime(2026, 12, 10, 9, 30)  # noqa: DTZ001 - wall-clock time
    assert resumed(DUE - DAY, DUE + DAY, send_at=send_at) == DUE


@pytest.mark.parametrize(
    ("left", "away", "later_by"),
    [
        pytest.param(HOUR, timedelta(minutes=1), timedelta(0), id="a minute: the same morning"),
        pytest.param(1.5 * HOUR, 10 * HOUR, DAY, id="past half past nine: the next morning"),
        pytest.param(DAY, 3 * DAY, 3 * DAY, id="three days: three mornings later"),
        pytest.param(DAY, 3 * DAY + 2 * HOUR, 3 * DAY, id="and the nearest one"),
        pytest.param(2 * DAY, 3 * DAY - HOUR, 3 * DAY, id="whichever side it is on"),
    ],
)
def test_resume_moves_a_time_of_day_to_the_nearest_day(
    left: timedelta, away: timedelta, later_by: timedelta
) -> None:
    paused_at = DUE - left
    due = resumed(paused_at, paused_at + away, at_time=HALF_PAST_NINE)
    assert due == DUE + later_by


@given(
    left=st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
    away=st.timedeltas(timedelta(0), timedelta(days=300)),
)
def test_resumed_time_of_day_is_never_past(left: timedelta, away: timedelta) -> None:
    paused_at = DUE - left
    now = paused_at + away
    due = resumed(paused_at, now, at_time=HALF_PAST_NINE)
    assert due >= now
    assert due.astimezone(NEW_YORK.wall_zone).time() == HALF_PAST_NINE
    assert abs((due - now) - left) <= DAY


def test_zone_change_moves_times_and_dates_but_not_delays() -> None:
    """Steps are timed in the contact's own zone; a changed zone counts at once."""
    send_at = datetime(2026, 12, 10, 9, 30)  # noqa: DTZ001 - wall-clock time
    three_hours = timedelta(hours=3)
    for at_time, date, moved in (
        (HALF_PAST_NINE, None, three_hours),
        (None, send_at, three_hours),
        (None, None, timedelta(0)),
    ):
        due = rescheduled_due(
            DUE, DUE - DAY, at_time=at_time, send_at=date, before=NEW_YORK, after=LOS_ANGELES
        )
        assert due - DUE == moved


def test_zone_change_moves_a_past_time_to_the_next_day() -> None:
    """Half past nine is yet to come in Los Angeles; in New York it was an hour ago."""
    due = datetime(2026, 12, 10, 17, 30, tzinfo=UTC)  # 09:30 in Los Angeles
    now = datetime(2026, 12, 10, 15, 30, tzinfo=UTC)  # 10:30 in New York
    moved = rescheduled_due(
        due, now, at_time=HALF_PAST_NINE, send_at=None, before=LOS_ANGELES, after=NEW_YORK
    )
    assert moved == DUE + DAY


def test_resumed_date_uses_the_present_clock() -> None:
    send_at = datetime(2026, 12, 10, 9, 30)  # noqa: DTZ001 - wall-clock time
    due = resumed_due(DUE, DUE - DAY, DUE - HOUR, at_time=None, send_at=send_at, clock=LOS_ANGELES)
    assert due - DUE == 3 * HOUR
