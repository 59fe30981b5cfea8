"""Whole names, split into first and last."""

import pytest

from domain.contacts.names import split_name


@pytest.mark.parametrize(
    ("whole", "first", "last"),
    [
        ("Ann Lee", "Ann", "Lee"),
        (" Ann   Lee ", "Ann", "Lee"),
        ("Lee, Ann", "Ann", "Lee"),
        ("van der Berg, Anna Maria", "Anna Maria", "van der Berg"),
        ("Juan García Márquez", "Juan", "García Márquez"),
        ("Cher", "Cher", ""),
        ("Ann Lee, RN", "Ann", "Lee, RN"),
        ("Martin Luther King, Jr.", "Martin", "Luther King, Jr."),
        (", Ann", "Ann", ""),
        ("Lee,", "Lee", ""),
        ("", "", ""),
    ],
)
def test_whole_name_is_split(whole: str, first: str, last: str) -> None:
    assert split_name(whole) == (first, last)
