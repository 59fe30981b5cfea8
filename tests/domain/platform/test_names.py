"""One-line texts that people type."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.platform.errors import InvalidFieldError
from domain.platform.names import clean


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Ann ", "Ann"),
        ("Mary  Ann", "Mary  Ann"),
        ("E\u0301mile", "Émile"),
        ("👩‍👩‍👧", "👩‍👩‍👧"),
        ("क्‍ष", "क्‍ष"),
    ],
)
def test_a_text_is_trimmed_and_composed(typed: str, kept: str) -> None:
    assert clean(typed, field="name") == kept


@pytest.mark.parametrize("typed", ["", "  ", "\u200b", "\u3000\u200d"])
def test_invisible_text_is_blank(typed: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        clean(typed, field="name")

    assert caught.value.field_code == "blank"
    assert clean(typed, field="name", blank=True) == ""


@pytest.mark.parametrize("typed", ["a\nb", "a\x00", "\ud800", "a\u202eb", "a\u2028b", "\x7f"])
def test_text_unprintable_on_one_line_is_refused(typed: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        clean(typed, field="name")

    assert caught.value.field_code == "invalid_text"


def test_text_beyond_the_limit_is_refused() -> None:
    assert clean("x" * 5, field="name", most=5) == "x" * 5
    with pytest.raises(InvalidFieldError) as caught:
        clean("x" * 6, field="name", most=5)
    assert caught.value.field_code == "too_long"


@given(st.text(max_size=40))
def test_accepted_text_is_stable_and_can_be_stored(typed: str) -> None:
    try:
        kept = clean(typed, field="name", blank=True)
    except InvalidFieldError:
        return
    assert clean(kept, field="name", blank=True) == kept
    assert unicodedata.is_normalized("NFC", kept)
    assert kept.encode().decode() == kept
    assert "\x00" not in kept
