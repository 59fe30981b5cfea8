"""Whose law a contact is under: country, and state or province in the United States and Canada.

A jurisdiction is an ISO 3166-2 code (``US-TX``), or a country's of ISO 3166-1 (``GB``). A time zone
alone never says which it is, as one state spans two and one zone many; it only rules states out.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import phonenumbers

from domain.platform.errors import InvalidFieldError
from domain.platform.names import clean

_NORTH_AMERICA = "+1"
_AREA = slice(2, 5)
_STATE_LENGTH = 64
_POSTAL_CODE = re.compile(r"[A-Z0-9](?:[A-Z0-9 -]{0,10}[A-Z0-9])?")
_ZIP = re.compile(r"([0-9]{5})(?:-?[0-9]{4})?")
_CANADIAN = re.compile(r"([A-Z][0-9][A-Z]) ?([0-9][A-Z][0-9])")


@dataclass(frozen=True)
class State:
    """A state, a territory or a province.

    Attributes:
        zones: IANA names: one of each clock that people there live by.
        areas: Area codes under +1.
        postal: Beginnings of its postal codes.
    """

    country: str
    code: str
    name: str
    zones: tuple[str, ...]
    areas: frozenset[str]
    postal: tuple[str, ...]

    @property
    def jurisdiction(self) -> str:
        """Its code of ISO 3166-2."""
        return f"{self.country}-{self.code}"


def _read() -> Iterator[State]:
    file = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    for country, states in tomllib.loads(file).items():
        for code, one in states.items():
            postal = tuple(_written_out(one["postal"]))
            areas = frozenset(one["areas"].split())
            yield State(country, code, one["name"], tuple(one["zones"]), areas, postal)


def _written_out(ranges: str) -> Iterator[str]:
    for one in ranges.split():
        first, _, last = one.partition("-")
        if last:
            yield from (f"{number:03}" for number in range(int(first), int(last) + 1))
        else:
            yield first


STATES: Mapping[str, State] = {one.jurisdiction: one for one in _read()}
"""Those of the United States and Canada, by jurisdiction."""

COUNTRIES: Mapping[str, str] = tomllib.loads(
    Path(__file__).with_name("countries.toml").read_text(encoding="utf-8")
)
"""Names of countries by their codes of ISO 3166-1, for people who read English."""

_COUNTRY_OF = {
    **{name.casefold(): code for code, name in COUNTRIES.items()},
    **dict.fromkeys(("usa", "u.s.", "u.s.a.", "united states of america"), "US"),
    **dict.fromkeys(("uk", "u.k.", "great britain"), "GB"),
    "can": "CA",
}

_BY_CODE = {one.code: one for one in STATES.values()}  # no two share one
_BY_NAME = {one.name.casefold(): one for one in STATES.values()}
_COUNTRIES = frozenset(one.country for one in STATES.values())
_TERRITORIES = frozenset({"AS", "GU", "MP", "PR", "VI"})
"""Of the United States, with a code of their own among countries."""


def check_country(given: str, *, field: str = "country") -> str:
    """Write a country as its code of ISO 3166-1; it may be given by its English name.

    Raises:
        InvalidFieldError: ``unknown_region``.
    """
    text = given.strip()
    code = text.upper() if text.upper() in COUNTRIES else _COUNTRY_OF.get(text.casefold())
    if code is None:
        raise InvalidFieldError(
            field, "is not a country; use a two-letter code such as US", code="unknown_region"
        )
    return code


def check_state(given: str, *, field: str = "state") -> str:
    """Write a state or province as its code, if it is one of the US or Canada, or named as one.

    Raises:
        InvalidFieldError: See ``names.clean``.
    """
    text = clean(given, field=field, most=_STATE_LENGTH)
    named = _BY_NAME.get(text.casefold())
    return text.upper() if named is None else named.code


def check_postal_code(given: str, *, field: str = "postal_code") -> str:
    """Write a postal code in one form.

    Raises:
        InvalidFieldError: ``unknown_postal_code``: it has not the form of one.
    """
    code = " ".join(given.upper().split())
    if not _POSTAL_CODE.fullmatch(code):
        raise InvalidFieldError(
            field,
            "is not a postal code; write one such as 78701 or K1A 0B1",
            code="unknown_postal_code",
        )
    canadian = _CANADIAN.fullmatch(code)
    return code if canadian is None else f"{canadian[1]} {canadian[2]}"


def check_jurisdiction(
    *, phone: str, country: str | None, state: str | None, postal_code: str | None
) -> None:
    """Check that what is known of where a contact lives, each checked already, can be together.

    Of other countries than the US and Canada there is no list here. Who gives none is taken to be
    of one of these with a number of theirs.

    Raises:
        InvalidFieldError: ``unknown_state`` or ``unknown_postal_code``.
    """
    if country not in {None, *_COUNTRIES} or not (country or phone.startswith(_NORTH_AMERICA)):
        return
    if state is not None:
        found = _BY_CODE.get(state)
        if found is None:
            raise _unknown_state("state")
        if country not in {None, found.country}:
            raise InvalidFieldError(
                "state",
                f"is {found.name}, which is not in {country}; correct it, or the country",
                code="unknown_state",
            )
        country = found.country
    if postal_code is not None:
        states = _states_of(postal_code)
        if not any(country in {None, one.country} for one in states):
            where = "the United States or Canada" if country is None else country
            remedy = "or give its country too" if country is None else "or the country"
            raise InvalidFieldError(
                "postal_code",
                f"is not one of {where}; correct it, {remedy}",
                code="unknown_postal_code",
            )


def _unknown_state(field: str) -> InvalidFieldError:
    return InvalidFieldError(
        field,
        "is not a state of the US or a province of Canada; write its two letters, such as TX, or"
        " give the country if it is another one",
        code="unknown_state",
    )


def _states_of(postal_code: str) -> list[State]:
    found = _ZIP.fullmatch(postal_code) or _CANADIAN.fullmatch(postal_code)
    if found is None:
        return []
    return [one for one in STATES.values() if found[1].startswith(one.postal)]


def jurisdictions(
    *,
    phone: str,
    time_zone: str | None,
    country: str | None,
    state: str | None,
    postal_code: str | None,
) -> tuple[str, ...]:
    """List the jurisdictions that a contact may be under, in alphabetical order.

    Those that state and postal code name; else all of the country, else all that the number allows,
    in which the given zone's clock is one that people live by. If it is in none of these, the
    number's and those with that clock. None for a country without states here, but its own code.
    """
    area = phone[_AREA] if phone.startswith(_NORTH_AMERICA) else ""
    return _possible(area, time_zone, country, state, postal_code)


@lru_cache(maxsize=8192)
def _possible(
    area: str, time_zone: str | None, country: str | None, state: str | None, postal: str | None
) -> tuple[str, ...]:
    if country in _TERRITORIES:
        country, state = "US", country
    if country is not None and country not in _COUNTRIES:
        return (country,)
    named = {_BY_CODE[state].jurisdiction} if state in _BY_CODE else set()
    if postal is not None:
        named |= {one.jurisdiction for one in _states_of(postal) if country in {None, one.country}}
    if named:
        return tuple(sorted(named))
    if country is None and not area:
        return ()
    there = [one for one in STATES.values() if country in {None, one.country}]
    of_area = [one for one in there if area in one.areas]
    if not of_area and country is None and _is_abroad(area):
        return ()
    likely = of_area or there
    if time_zone is None:
        return tuple(sorted(one.jurisdiction for one in likely))
    narrowed = [one for one in likely if lives_by(one, time_zone)]
    if not narrowed:
        narrowed = likely + [one for one in there if lives_by(one, time_zone)]
    return tuple(sorted({one.jurisdiction for one in narrowed}))


@lru_cache(maxsize=1024)
def _is_abroad(area: str) -> bool:
    """Whether an area code is that of another country in the North American plan."""
    number = phonenumbers.parse(f"{_NORTH_AMERICA}{area}2345678")
    return phonenumbers.region_code_for_number(number) not in {None, *_COUNTRIES}


@lru_cache(maxsize=8192)
def lives_by(state: State, time_zone: str) -> bool:
    """Whether people in a state live by the clock of a zone, whatever its name."""
    return any(_clock(one) == _clock(time_zone) for one in state.zones)


@lru_cache(maxsize=1024)
def _clock(time_zone: str) -> tuple[timedelta | None, ...]:
    """Give a zone's offsets in winter and in summer of one year."""
    zone = ZoneInfo(time_zone)
    return tuple(
        datetime(2026, month, 1, tzinfo=UTC).astimezone(zone).utcoffset() for month in (1, 7)
    )
