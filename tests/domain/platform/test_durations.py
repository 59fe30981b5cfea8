"""Durations in words, and as a whole number of one unit."""

from datetime import timedelta

import pytest

from domain.platform.durations import in_units, whole

DAY, HOUR = 86_400, 3_600


@pytest.mark.parametrize(
    ("seconds", "words", "short"),
    [
        (0, "0 seconds", "0 sec"),
        (1, "1 second", "1 sec"),
        (59, "59 seconds", "59 sec"),
        (60, "1 minute", "1 min"),
        (HOUR, "1 hour", "1 hr"),
        (7_500, "2 hours 5 minutes", "2 hr 5 min"),
        (DAY + 1_800, "1 day", "1 day"),
        (2 * DAY + 2 * HOUR + 59, "2 days 2 hours", "2 days 2 hr"),
    ],
)
def test_a_duration_is_written_in_its_largest_units(seconds: int, words: str, short: str) -> None:
    duration = timedelta(seconds=seconds)
    assert (in_units(duration), in_units(duration, short=True)) == (words, short)


def test_more_units_tell_it_exactly() -> None:
    duration = timedelta(days=1, minutes=30, seconds=1)
    assert in_units(duration, most=4) == "1 day 30 minutes 1 second"


@pytest.mark.parametrize(
    ("seconds", "found"),
    [
        (0, (0, "minutes")),
        (90, (90, "seconds")),
        (90 * 60, (90, "minutes")),
        (36 * HOUR, (36, "hours")),
        (7 * DAY, (7, "days")),
    ],
)
def test_a_whole_number_of_a_unit_loses_nothing(seconds: int, found: tuple[int, str]) -> None:
    assert whole(timedelta(seconds=seconds)) == found
