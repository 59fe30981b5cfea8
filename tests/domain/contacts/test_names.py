"""Whole names, split into first and last."""

import pytest

from domain.contacts.names import called, is_nameless, split_name


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


@pytest.mark.parametrize("name", ["", "+12125550101", None])
def test_number_serves_where_there_is_no_name(name: str | None) -> None:
    assert is_nameless(name, "+12125550101")
    assert called(name, "+12125550101") == "+1 212-555-0101"


def test_name_goes_before_the_number() -> None:
    assert called("Ann Lee", "+12125550101") == "Ann Lee"
