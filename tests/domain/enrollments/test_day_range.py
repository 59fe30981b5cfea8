"""The days of a report, and the parts of its trend."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from domain.enrollments.day_range import DayRange, TrendUnit, end_of, parts, unit_of
from domain.platform.errors import InvalidFieldError

ZONE = ZoneInfo("America/New_York")


def test_range_covers_its_last_day_on_the_clock_of_its_zone() -> None:
    days = DayRange(ZONE, date(2026, 3, 8), date(2026, 3, 8))  # the day has 23 hours
    assert days.start == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert days.until == datetime(2026, 3, 9, 4, tzinfo=UTC)


def test_open_sides_have_no_moment() -> None:
    days = DayRange(ZONE)
    assert (days.start, days.until) == (None, None)


def test_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InvalidFieldError) as refused:
        DayRange.of("UTC", date(2026, 3, 2), date(2026, 3, 1))
    assert refused.value.field == "last_day"


@pytest.mark.parametrize(
    ("last", "unit"),
    [
        (date(2026, 1, 1), TrendUnit.DAY),
        (date(2026, 4, 2), TrendUnit.DAY),
        (date(2026, 4, 3), TrendUnit.WEEK),
        (date(2028, 1, 5), TrendUnit.WEEK),
        (date(2028, 1, 6), TrendUnit.MONTH),
    ],
)
def test_unit_grows_with_the_range(last: date, unit: TrendUnit) -> None:
    assert unit_of(date(2026, 1, 1), last) is unit


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        (TrendUnit.DAY, [date(2026, 12, day) for day in range(28, 32)] + [date(2027, 1, 1)]),
        (TrendUnit.WEEK, [date(2026, 12, 28)]),
        (TrendUnit.MONTH, [date(2026, 12, 1), date(2027, 1, 1)]),
    ],
)
def test_parts_leave_no_day_out(unit: TrendUnit, expected: list[date]) -> None:
    assert parts(date(2026, 12, 28), date(2027, 1, 1), unit) == expected
    assert end_of(expected[-1], unit) >= date(2027, 1, 1)
