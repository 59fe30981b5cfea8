"""Segments: how many a text takes, and why."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.sequences.segments import GSM_BASIC, GSM_EXTENSION, measure

GSM = sorted(GSM_BASIC | GSM_EXTENSION)


def test_gsm_alphabet_matches_the_standard() -> None:
    assert len(GSM_BASIC) == 127
    assert len(GSM_EXTENSION) == 10
    assert not GSM_BASIC & GSM_EXTENSION


@pytest.mark.parametrize(
    ("text", "encoding", "units", "count"),
    [
        ("", "GSM-7", 0, 0),
        ("a", "GSM-7", 1, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("\u20ac" * 80, "GSM-7", 160, 1),
        ("\u20ac" * 153, "GSM-7", 306, 3),
        ("a" * 152 + "\u20ac" + "a" * 152, "GSM-7", 306, 3),
        ("\u4f60" * 70, "UCS-2", 70, 1),
        ("\u4f60" * 71, "UCS-2", 71, 2),
        ("\u4f60" * 134, "UCS-2", 134, 2),
        ("\u4f60" * 135, "UCS-2", 135, 3),
        ("\U0001f600" * 35, "UCS-2", 70, 1),
        ("\U0001f600" * 67, "UCS-2", 134, 3),
        ("\u4f60" + "a" * 65 + "\U0001f600" + "a" * 66, "UCS-2", 134, 3),
        ("caf\u00e9 \u00c7a", "GSM-7", 7, 1),
        ("fran\u00e7ais", "UCS-2", 8, 1),
        ("it\u2019s", "UCS-2", 4, 1),
    ],
)
def test_segments_never_split_a_character(text: str, encoding: str, units: int, count: int) -> None:
    measured = measure(text)
    assert (measured.encoding, measured.units, measured.count) == (encoding, units, count)
    assert measured.characters == len(text)


def test_ucs2_characters_are_listed_once() -> None:
    assert measure("\u201cHi\u201d, it\u2019s \u201cme\u201d").ucs2_characters == (
        "\u201c",
        "\u201d",
        "\u2019",
    )
    assert measure("plain {text} \u20ac").ucs2_characters == ()


@given(st.text(alphabet=GSM, max_size=800))
def test_gsm_texts_stay_in_gsm(text: str) -> None:
    measured = measure(text)
    assert measured.encoding == "GSM-7"
    assert measured.units == len(text) + sum(char in GSM_EXTENSION for char in text)


@given(st.text(max_size=500), st.characters(exclude_categories=["Cs"]))
def test_a_longer_text_never_takes_fewer_segments(text: str, more: str) -> None:
    assert measure(text + more).count >= measure(text).count


@given(st.text(max_size=500))
def test_count_is_between_full_segments_and_one_unit_lost_in_each(text: str) -> None:
    measured = measure(text)
    single, part = (160, 153) if measured.encoding == "GSM-7" else (70, 67)
    if measured.units <= single:
        assert measured.count == min(1, measured.units)
    else:
        assert -(-measured.units // part) <= measured.count <= -(-measured.units // (part - 1))
