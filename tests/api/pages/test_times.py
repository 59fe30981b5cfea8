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
        (40, "in 40 sec"),
        (60, "in 1 min"),
        (3_599, "in 59 min"),
        (3_600, "in 1 hr"),
        (2 * 3_600 + 13 * 60 + 59, "in 2 hr 13 min"),
        (3 * 86_400 + 4 * 3_600, "in 3 days 4 hr"),
        (41 * 86_400, "in 41 days"),
        (-1, "1 sec ago"),
        (-59, "59 sec ago"),
        (-5 * 60 - 20, "5 min ago"),
        (-26 * 3_600, "1 day ago"),
    ],
)
def test_relative_time_is_in_words(seconds: float, words: str) -> None:
    assert relative(NOW + timedelta(seconds=seconds), NOW) == words


def test_exact_time_is_in_workspace_or_contact_zone() -> None:
    clock = Clock("America/New_York", 12)

    assert clock.exact(NOW) == "Wed, Dec 2, 2026, 9:30 AM (New York)"
    assert clock.exact(NOW, "Pacific/Honolulu") == "Wed, Dec 2, 2026, 4:30 AM (Honolulu)"
    assert clock.exact(NOW, "Asia/Tokyo") == "Wed, Dec 2, 2026, 11:30 PM (Tokyo)"
    for zone, words in (
        ("America/Los_Angeles", "Wed, Dec 2, 2026, 6:30 AM Bo's time (9:30 AM yours)"),
        ("Asia/Seoul", "Wed, Dec 2, 2026, 11:30 PM Bo's time (9:30 AM yours)"),
        (
            "Pacific/Auckland",
            "Thu, Dec 3, 2026, 3:30 AM Bo's time (Wed, Dec 2, 2026, 9:30 AM yours)",
        ),
        ("America/Toronto", "Wed, Dec 2, 2026, 9:30 AM (New York)"),
    ):
        assert clock.on_both(NOW, zone, "Bo's") == words
    assert clock.date_of(NOW, "Pacific/Auckland") == "Thu, Dec 3, 2026"


@pytest.mark.parametrize(
    ("cycle", "hour", "words"),
    [(12, 0, "12:05 AM"), (12, 12, "12:05 PM"), (24, 0, "00:05"), (24, 13, "13:05")],
)
def test_time_follows_the_hour_cycle(cycle: int, hour: int, words: str) -> None:
    moment = datetime(2026, 6, 1, hour, 5, tzinfo=UTC)

    assert Clock("UTC", 24 if cycle == 24 else 12).time_of(moment) == words
