"""Phone numbers: parsing, time zones, masking."""

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers.timezone import (
    UNKNOWN_TIMEZONE,
    time_zones_for_geographical_number,
    time_zones_for_number,
)

from domain.platform import phones
from domain.platform.errors import InvalidFieldError
from domain.platform.phones import (
    digits,
    is_toll_free,
    masked,
    normalize,
    readable,
    time_zones,
    zones_prefix,
)


@pytest.mark.parametrize(
    "raw",
    [
        "+14155550199",
        "+1 (415) 555-0199",
        "14155550199",
        "415-555-0199",
        "415.555.0199",
        "(415) 555 0199",
        "0014155550199",
        "00 1 415 555 0199",
        "\u202a+1\u00a0415\u2011555\u20110199\u202c",
        "\uff0b\uff11\uff14\uff11\uff15\uff15\uff15\uff15\uff10\uff11\uff19\uff19",
        "  +14155550199\n",
    ],
)
def test_spellings_of_one_number_give_the_same_e164(raw: str) -> None:
    assert normalize(raw) == "+14155550199"


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("07700 900123", "GB", "+447700900123"),
        ("+44 (0)7700 900123", "US", "+447700900123"),
        ("0044 7700 900123", "US", "+447700900123"),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("02 1234 5678", "IT", "+390212345678"),
        ("011 44 7700 900123", "US", "+447700900123"),
    ],
)
def test_national_and_foreign_formats_are_read(raw: str, region: str, expected: str) -> None:
    assert normalize(raw, default_region=region) == expected


def test_possible_number_of_no_known_range_is_accepted() -> None:
    """Edges, HTTP: a phone that is possible for its country is accepted."""
    number = phonenumbers.parse("+15555550123")
    assert not phonenumbers.is_valid_number(number)
    assert normalize("+15555550123") == "+15555550123"


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "   ",
        "+",
        "911",
        "72345",
        "5550199",
        "+1415555019",
        "+141555501990",
        "+999123456789",
        "+1 415 555 0199 ext. 5",
        "+14155550199x5",
        "+14155550199;ext=5",
        "+14155550199,,5",
        "+14155550199#5",
        "1-800-FLOWERS",
        "tel:+14155550199",
        "+1415555+0199",
        "+14155550199 +14155550198",
        "12345678901234567890123456789",
        "none",
        "\U0001f4de",
    ],
)
def test_an_impossible_number_is_refused_with_a_remedy(raw: str) -> None:
    """Edges, HTTP: an impossible phone is refused with a reason."""
    with pytest.raises(InvalidFieldError) as caught:
        normalize(raw, field="contacts.3.phone")
    assert caught.value.field == "contacts.3.phone"
    assert caught.value.field_code == "invalid_phone"
    assert "+14155550199" in caught.value.reason


@given(st.text(alphabet="0123456789+-. ()x\u0661\uff11", max_size=24))
def test_accepted_number_is_e164_and_stable(raw: str) -> None:
    try:
        phone = normalize(raw)
    except InvalidFieldError:
        return
    assert phone[0] == "+"
    assert phone[1:].isascii()
    assert phone[1:].isdigit()
    assert len(phone) <= 16
    assert normalize(phone) == phone


@given(st.text())
def test_any_text_parses_or_is_refused(raw: str) -> None:
    with suppress(InvalidFieldError):
        normalize(raw)


def test_number_gives_its_area_codes_zone() -> None:
    assert time_zones("+14155550199") == ("America/Los_Angeles",)
    assert time_zones("+12125550123") == ("America/New_York",)


def test_a_number_without_an_area_allows_every_zone_of_its_plan() -> None:
    """Row "outside the send window": a number that allows several zones."""
    assert len(time_zones("+18005550199")) > 30
    assert {"Australia/Sydney", "Australia/Perth"} <= set(time_zones("+61412345678"))


def test_unassigned_number_gives_its_countrys_zone() -> None:
    assert "Europe/London" in time_zones("+447700900123")
    assert time_zones("+14151550123") == ("America/Los_Angeles",)


@pytest.mark.parametrize("phone", ["+15555550123", "+88213300655", "", "nothing"])
def test_number_without_a_known_area_has_no_zones(phone: str) -> None:
    assert time_zones(phone) == ()


@pytest.mark.parametrize(
    "phone", ["+14155550199", "+18005550199", "+79161234567", "+61412345678", "+6281234567890"]
)
def test_every_zone_can_be_loaded(phone: str) -> None:
    zones = time_zones(phone)
    assert zones == tuple(sorted(zones))
    assert all(ZoneInfo(zone).key == zone for zone in zones)


def _every_area() -> Iterator[str]:
    """Give numbers of a sample of the exchanges of every area."""
    for area in range(200, 1000):
        for number in range(4):
            yield f"+1{area}{200 + (area * 131 + number * 137) % 800}0199"


def test_numbers_with_the_same_prefix_have_the_same_zones() -> None:
    zones = defaultdict(set)
    for phone in _every_area():
        zones[zones_prefix(phone)].add(_zones_by_library(phone))
        assert time_zones(phone) == _zones_by_library(phone)
    assert all(len(found) == 1 for found in zones.values())
    assert len(zones) < 3_000  # most areas have one


def _zones_by_library(phone: str) -> tuple[str, ...]:
    number = phonenumbers.parse(phone)
    zones = time_zones_for_number(number)
    if zones != (UNKNOWN_TIMEZONE,):
        return tuple(sorted(zones))
    zones = time_zones_for_geographical_number(number)
    of_plan = time_zones_for_geographical_number(phonenumbers.parse("+10000000000"))
    return () if zones in {of_plan, (UNKNOWN_TIMEZONE,)} else tuple(sorted(zones))


def test_numbers_are_written_for_people_as_by_the_library() -> None:
    for phone in (*_every_area(), "+447700900123", "+88213300655", "+390612345678", "+1212555012"):
        number = phonenumbers.parse(phone)
        international = phonenumbers.PhoneNumberFormat.INTERNATIONAL
        assert readable(phone) == phonenumbers.format_number(number, international)
    assert readable("+12125550123") == "+1 212-555-0123"
    assert readable("12345") == "12345"


def test_prefix_of_zones_is_exchange_or_number_where_area_does_not_decide() -> None:
    assert zones_prefix("+12125550123") == "+1212"
    assert zones_prefix("+18505550123") == "+1850555"  # two zones
    assert zones_prefix("+18765550123") == "+1876555"  # Jamaica
    assert zones_prefix("+447700900123") == "+447700900123"


@pytest.mark.parametrize(
    ("phone", "expected"),
    [
        ("+18005550199", True),
        ("+18331234567", True),
        ("+18881234567", True),
        ("+448001111", True),
        ("+14155550199", False),
        ("+447700900123", False),
        ("", False),
        ("MG0123456789abcdef0123456789abcdef", False),
    ],
)
def test_toll_free_numbers_are_recognized(phone: str, *, expected: bool) -> None:
    """Row "opt-out keyword ...": 30004 with a toll-free sender needs to know them."""
    assert is_toll_free(phone) is expected


def test_a_masked_number_hides_at_least_three_digits() -> None:
    assert masked("+14155550199") == "+1415***0199"
    assert masked("+4512345678") == "+451***5678"
    assert masked("+290123") == "***"
    for length in range(20):
        phone = "+" + "7" * length
        assert len(phone) - masked(phone).count("7") >= min(3, length)


def test_only_digits_are_kept() -> None:
    assert digits("+1 (415) 555-0199 x") == "14155550199"
    assert digits("\u0661\uff12\u00b2") == "12"


@given(st.from_regex(r"[2-9][0-9]{9}", fullmatch=True))
def test_stored_number_is_unchanged(national: str) -> None:
    assert normalize(f"+1{national}") == f"+1{national}"


_WRITTEN = st.tuples(
    st.sampled_from(["", "1", "+1", "+", "001", "(+1)", "0", "\uff0b1"]),
    st.from_regex(r"[0-9]{9,11}", fullmatch=True),
    st.sampled_from(["{0}{1}{2}", "{0} ({1}) {2}", "{0}-{1}.{2}", "{0}{1}/{2} "]),
).map(lambda parts: parts[2].format(parts[0], parts[1][:3], parts[1][3:]))


@given(_WRITTEN, st.sampled_from(["US", "CA", "GB", "DO"]))
def test_fast_path_gives_the_same_result_as_phonenumbers(raw: str, region: str) -> None:
    short = _outcome(raw, region)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(phones, "_nanp", lambda *_: None)
        patch.setattr(phones, "_PLAIN_NANP", re.compile("never"))
        assert _outcome(raw, region) == short


def _outcome(raw: str, region: str) -> str:
    try:
        return normalize(raw, default_region=region)
    except InvalidFieldError as error:
        return error.reason
