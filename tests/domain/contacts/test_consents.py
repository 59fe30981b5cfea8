"""What is said of a consent: cleaned, dated, refused with a remedy."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.contacts.consents import Agreed, checked, moment_of
from domain.platform.errors import InvalidFieldError, InvalidRequestError

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)


def test_what_is_said_is_cleaned_and_kept() -> None:
    ahead = NOW + timedelta(minutes=2)  # by another program's clock
    agreed = checked(" Web form ", ahead, wording="Yes,\r\ntext me ", written=True, now=NOW)
    assert agreed == Agreed("Web form", NOW, "Yes,\ntext me", written=True)
    assert checked("A call", NOW, wording=" ", address="", now=NOW) == Agreed("A call", NOW)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        checked(" ", NOW + timedelta(hours=1), written=True, address="198.51.100.7\n", now=NOW)
    assert [(one.field, one.field_code) for one in caught.value.errors] == [
        ("source", "blank"),
        ("address", "invalid_text"),
        ("wording", "missing"),
        ("given_at", "in_the_future"),
    ]
    with pytest.raises(InvalidRequestError, match="at most 2000"):
        checked("A form", NOW, wording="x" * 2001, now=NOW)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30", datetime(2026, 11, 30, 12, tzinfo=UTC)),
        (" 2026-12-01 ", NOW),  # its noon is still to come
        ("2026-11-30T18:00:00-05:00", datetime(2026, 11, 30, 23, tzinfo=UTC)),
        ("2026-11-30 18:00", datetime(2026, 11, 30, 18, tzinfo=UTC)),
    ],
)
def test_moments_are_read_as_files_have_them(text: str, moment: datetime) -> None:
    assert moment_of(text, NOW) == moment


def test_today_is_today_wherever_it_is_already() -> None:
    late = datetime(2026, 12, 1, 11, tzinfo=UTC)  # December 2 on Kiritimati
    assert moment_of("2026-12-02", late) == late
    with pytest.raises(InvalidFieldError) as caught:
        moment_of("2026-12-02", NOW, field="consent_at")
    assert (caught.value.field, caught.value.field_code) == ("consent_at", "in_the_future")


@pytest.mark.parametrize("text", ["", "yesterday", "12/01/2026", "2026-13-01", "0026-12-01"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        moment_of(text, NOW)
    assert caught.value.field_code == "invalid_value"
