"""Times on pages."""

from datetime import UTC, datetime, timedelta

import pytest

from api.pages.times import Clock, relative

NOW = datetime(2026, 12, 2, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "now"),
        (0.4, "now"),
        (40, "in 40 s"),
        (60, "in 1 m"),
        (3_599, "in 59 m"),
        (3_600, "in 1 h"),
        (2 * 3_600 + 13 * 60 + 59, "in 2 h 13 m"),
        (3 * 86_400 + 4 * 3_600, "in 3 d 4 h"),
        (41 * 86_400, "in 41 d"),
        (-1, "1 s ago"),
        (-59, "59 s ago"),
        (-5 * 60 - 20, "5 m ago"),
        (-26 * 3_600, "1 d ago"),
    ],
)
def test_relative_time_is_in_words(seconds: float, words: str) -> None:
    assert relative(NOW + timedelta(seconds=seconds), NOW) == words


def test_exact_time_is_in_workspace_or_contact_zone() -> None:
    clock = Clock("America/New_York", 12)

    assert clock.exact(NOW) == "Wed 2 Dec 2026, 9:30 am (New York)"
    assert clock.exact(NOW, "Pacific/Honolulu") == "Wed 2 Dec 2026, 4:30 am (Honolulu)"
    assert clock.exact(NOW, "Asia/Tokyo") == "Wed 2 Dec 2026, 11:30 pm (Tokyo)"
    assert clock.date_of(NOW, "Pacific/Auckland") == "Thu 3 Dec 2026"


@pytest.mark.parametrize(
    ("cycle", "hour", "words"),
    [(12, 0, "12:05 am"), (12, 12, "12:05 pm"), (24, 0, "00:05"), (24, 13, "13:05")],
)
def test_time_follows_the_hour_cycle(cycle: int, hour: int, words: str) -> None:
    moment = datetime(2026, 6, 1, hour, 5, tzinfo=UTC)

    assert Clock("UTC", 24 if cycle == 24 else 12).time_of(moment) == words
