"""Whose law a contact is under: what is given is checked, what is not given is left open."""

import re
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.platform.errors import InvalidFieldError
from domain.platform.jurisdictions import (
    STATES,
    check_country,
    check_jurisdiction,
    check_postal_code,
    check_state,
    jurisdictions,
    lives_by,
)

NEW_YORK, MIAMI, TOLL_FREE, LONDON = "+12125550100", "+13055550100", "+18005550100", "+442079460000"


def under(
    phone: str = NEW_YORK,
    *,
    zone: str | None = None,
    country: str | None = None,
    state: str | None = None,
    postal: str | None = None,
) -> set[str]:
    return set(
        jurisdictions(phone=phone, time_zone=zone, country=country, state=state, postal_code=postal)
    )


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({}, {"US-NY"}),
        ({"phone": MIAMI, "zone": "America/Chicago"}, {"US-FL"}),  # Florida spans two zones
        ({"phone": "+19025550100"}, {"CA-NS", "CA-PE"}),  # one area code for two provinces
        ({"state": "TX"}, {"US-TX"}),
        ({"state": "ON"}, {"CA-ON"}),
        ({"country": "US", "state": "TX", "zone": "America/New_York"}, {"US-TX"}),
        ({"postal": "78701-1234"}, {"US-TX"}),
        ({"postal": "K1A 0B1"}, {"CA-ON"}),
        ({"postal": "06390"}, {"US-CT", "US-NY"}),
        ({"state": "FL", "postal": "78701"}, {"US-FL", "US-TX"}),
        ({"country": "PR"}, {"US-PR"}),
        ({"country": "DE", "state": "BY"}, {"DE"}),
        ({"phone": LONDON}, set()),
        ({"phone": "+18765550100"}, set()),  # Jamaica shares the country code
        ({"phone": LONDON, "country": "US", "zone": "US/Hawaii"}, {"US-HI"}),
    ],
)
def test_jurisdictions_are_given_or_all_that_number_and_zone_allow(
    known: dict[str, str], expected: set[str]
) -> None:
    assert under(**known) == expected


def test_zone_alone_says_nothing_but_what_it_rules_out() -> None:
    everywhere = {one.jurisdiction for one in STATES.values()}
    assert under(TOLL_FREE) == everywhere
    chicago = under(TOLL_FREE, zone="America/Chicago")
    assert {"US-FL", "US-TX", "CA-ON"} <= chicago
    assert "US-NY" not in chicago
    moved = under(zone="America/Los_Angeles")  # a number of New York that lives in the west
    assert {"US-NY", "US-CA"} <= moved
    assert "US-TX" not in moved
    assert under(country="CA") == {one for one in everywhere if one.startswith("CA")}


@given(
    area=st.sampled_from([f"{number}" for number in range(200, 1000)]),
    zone=st.sampled_from([None, "America/New_York", "Europe/Paris", "US/Hawaii", "Asia/Tokyo"]),
    country=st.sampled_from([None, "US", "CA"]),
)
def test_number_of_north_america_is_somewhere_or_abroad(
    area: str, zone: str | None, country: str | None
) -> None:
    found = under(f"+1{area}2345678", zone=zone, country=country)
    abroad = phonenumbers.region_code_for_number(phonenumbers.parse(f"+1{area}2345678"))
    assert found or (country is None and abroad not in {None, "US", "CA"})
    assert found <= STATES.keys()
    if country is not None:
        assert all(STATES[one].country == country for one in found)


def test_area_codes_are_those_of_the_library() -> None:
    """Read from its text: importing two million prefixes takes a second."""
    names = {one.name: one for one in STATES.values()}
    codes = {one.code: one for one in STATES.values()}
    odd = {
        "Washington State": "Washington",
        "Washington D.C.": "District of Columbia",
        "British Colombia": "British Columbia",
    }
    compared = 0
    for file in (Path(phonenumbers.__file__).parent / "geodata").glob("data*.py"):
        named = re.findall(r"^ '1([2-9]\d\d)':\{'en': '([^']+)'", file.read_text(), re.MULTILINE)
        for area, name in named:
            city, _, code = name.partition(", ")
            said = [code] if code else [names[odd.get(one, one)].code for one in city.split("/")]
            assert {one.code for one in STATES.values() if area in one.areas} == set(said), area
            compared += 1
    assert compared > 400
    assert {one.code for one in codes.values() if not one.areas} == set()


def test_table_is_whole() -> None:
    assert len(STATES) == 50 + 1 + 5 + 13
    for one in STATES.values():
        assert one.postal
        assert all(ZoneInfo(zone) for zone in one.zones)
        assert lives_by(one, one.zones[-1])
    everywhere = [f"{number:03}" for number in range(5, 1000)]
    owners = {zip3: [s.code for s in STATES.values() if zip3 in s.postal] for zip3 in everywhere}
    assert {zip3 for zip3, some in owners.items() if len(some) > 1} == {"063", "834", "967", "969"}
    assert sum(bool(some) for some in owners.values()) > 850


@pytest.mark.parametrize(
    ("written", "code"), [("tx", "TX"), (" Texas ", "TX"), ("new york", "NY"), ("by", "BY")]
)
def test_state_is_written_as_its_code(written: str, code: str) -> None:
    assert check_state(written) == code


def test_postal_code_and_country_have_one_form() -> None:
    assert check_postal_code(" k1a0b1 ") == "K1A 0B1"
    assert check_postal_code("sw1a  1aa") == "SW1A 1AA"
    named = ("us", "United States", " usa ", "germany")
    assert [check_country(one) for one in named] == ["US", "US", "US", "DE"]


@pytest.mark.parametrize(
    ("country", "state", "postal", "field", "words"),
    [
        (None, "ZZ", None, "state", "give the country if it is another one"),
        ("CA", "TX", None, "state", "is Texas, which is not in CA"),
        ("US", None, "K1A 0B1", "postal_code", "is not one of US"),
        ("US", None, "2139", "postal_code", "is not one of US"),  # a spreadsheet ate the zero
        (None, None, "75001 PARIS", "postal_code", "give its country too"),
        (None, "TX", "K1A 0B1", "postal_code", "is not one of US"),
        ("US", None, "99999X", "postal_code", "is not one of US"),
    ],
)
def test_jurisdiction_that_does_not_exist_is_refused(
    country: str | None, state: str | None, postal: str | None, field: str, words: str
) -> None:
    with pytest.raises(InvalidFieldError, match=re.escape(words)) as caught:
        check_jurisdiction(phone=NEW_YORK, country=country, state=state, postal_code=postal)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("country", "state", "postal"),
    [("DE", "BY", "80331"), ("US", "TX", "78701"), (None, "TX", None), (None, None, "02139")],
)
def test_jurisdiction_that_exists_is_taken(
    country: str | None, state: str | None, postal: str | None
) -> None:
    check_jurisdiction(phone=NEW_YORK, country=country, state=state, postal_code=postal)
    if country is None:  # elsewhere there is no list to go by
        check_jurisdiction(phone=LONDON, country=None, state="Kent", postal_code="CT1 2EH")


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_country, "XX"),
        (check_state, "x" * 65),
        (check_state, " "),
        (check_postal_code, "!"),
    ],
)
def test_what_has_not_the_form_is_refused(check: object, value: str) -> None:
    assert callable(check)
    with pytest.raises(InvalidFieldError):
        check(value)
