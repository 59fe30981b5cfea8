"""Counting segments."""

import pytest

from simulator.segments import count_segments


@pytest.mark.parametrize(
    ("body", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 153, 3),
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("👍" * 35, 1),
        ("👍" * 67, 3),
    ],
    ids=range(11),
)
def test_segments_are_counted_without_splitting_characters(body: str, segments: int) -> None:
    assert count_segments(body) == segments
