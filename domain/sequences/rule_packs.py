"""Rule packs: when the law lets texts go, as dated data; one file for each jurisdiction.

A file says of each version where it was read and when, from which day on it holds, which purposes
it binds, in which hours, how many texts in 24 hours, and whether holidays are closed. A day goes by
the version that holds on it, so a new one takes effect at its date, for texts that wait as well.
"""

import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, time
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import holidays

from domain.platform.errors import InvalidFieldError
from domain.platform.jurisdictions import COUNTRIES, STATES, lives_by
from domain.sequences.timing import ALL_DAY, Bound, ContactClock, SendWindow
from domain.statuses.sequences import Purpose

TEXTS_MOST = 100
"""Highest cap on the texts to one person in 24 hours."""


@dataclass(frozen=True)
class PackVersion:
    """What holds from one day on.

    Attributes:
        effective_to: The last day, the version's own included; None if no end is known.
        retrieved: When the sources were read.
        is_secondary: Whether they tell of the law in their own words.
        hours: Windows by the purposes that it binds.
        texts_per_day: Most texts to one person in 24 hours; None for as many as one likes.
        closed_on_holidays: Whether nothing goes on the jurisdiction's public holidays.
    """

    version: str
    effective_from: date
    retrieved: date
    sources: tuple[str, ...]
    hours: Mapping[Purpose, SendWindow]
    effective_to: date | None = None
    is_secondary: bool = True
    note: str = ""
    texts_per_day: int | None = None
    closed_on_holidays: bool = False

    def holds_on(self, day: date) -> bool:
        """Whether it holds on a day."""
        return self.effective_from <= day and (
            self.effective_to is None or day <= self.effective_to
        )


@dataclass(frozen=True)
class RulePack:
    """The rules of a country or of one of its states; no two of its versions overlap."""

    id: str
    name: str
    country: str
    state: str | None
    versions: tuple[PackVersion, ...]

    def covers(self, jurisdiction: str) -> bool:
        """Whether people of a jurisdiction are under these rules."""
        country, _, state = jurisdiction.partition("-")
        return country == self.country and self.state in {None, state}

    def on(self, day: date) -> PackVersion | None:
        """Give the version that holds on a day."""
        return next((one for one in self.versions if one.holds_on(day)), None)

    def holiday_on(self, day: date) -> str | None:
        """Name the public holiday that a day is."""
        return _holidays(self.country, self.state, day.year).get(day)


@lru_cache(maxsize=256)
def _holidays(country: str, state: str | None, year: int) -> Mapping[date, str]:
    """List public holidays, those that fall on a weekend on the days they are observed as well."""
    return dict(holidays.country_holidays(country, subdiv=state, years=year))


@dataclass(frozen=True)
class PackHours:
    """The hours of each day that a pack leaves texts of one purpose; a ``DayRule``."""

    pack: RulePack
    purpose: Purpose

    @property
    def code(self) -> str:
        """What names it among reasons."""
        return "pack"

    def hours_on(self, day: date) -> tuple[time, time] | None:
        """Give the hours of a day; None if nothing may go."""
        version = self.pack.on(day)
        if version is None or self.purpose not in version.hours:
            return ALL_DAY
        if version.closed_on_holidays and self.pack.holiday_on(day):
            return None
        return version.hours[self.purpose].hours_on(day)


def read(id_: str, text: str) -> RulePack:
    """Read a file's rules; ``id_`` is its name.

    Raises:
        InvalidFieldError: Naming the place in the file: an unknown or missing key, a value that is
            none of its kind, a jurisdiction that does not exist, versions that overlap.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidFieldError(id_, f"is not TOML: {error}; correct the file") from None
    _check_keys(raw, id_, needed={"name", "country", "versions"}, known={"state"})
    country, state = raw["country"], raw.get("state")
    if country not in COUNTRIES or (state is not None and f"{country}-{state}" not in STATES):
        raise InvalidFieldError(
            f"{id_}.country" if state is None else f"{id_}.state",
            "is no jurisdiction; write codes of ISO 3166, a state or province of the US or Canada",
        )
    versions = tuple(
        _read_version(one, f"{id_}.versions.{index}") for index, one in enumerate(raw["versions"])
    )
    for index, (one, following) in enumerate(pairwise(versions), start=1):
        if one.effective_to is None or following.effective_from <= one.effective_to:
            raise InvalidFieldError(
                f"{id_}.versions.{index}.effective_from",
                f"is not after the end of version {one.version}; end that one the day before",
            )
    return RulePack(id_, raw["name"], country, state, versions)


def _read_version(raw: Mapping[str, Any], at: str) -> PackVersion:
    known = {one.name for one in fields(PackVersion)}
    needed = {"version", "effective_from", "retrieved", "sources", "hours"}
    _check_keys(raw, at, needed=needed, known=known)
    for name in {"effective_from", "effective_to", "retrieved"} & raw.keys():
        if type(raw[name]) is not date:
            raise InvalidFieldError(f"{at}.{name}", "is not a date; write it like 2026-11-28")
    if not raw["sources"] or not all(isinstance(one, str) for one in raw["sources"]):
        raise InvalidFieldError(f"{at}.sources", "names none; say where the rule was read")
    most = raw.get("texts_per_day")
    check_texts_per_day(most, field=f"{at}.texts_per_day")
    hours = {}
    for purpose, window in raw["hours"].items():
        if purpose not in set(Purpose):
            raise InvalidFieldError(
                f"{at}.hours.{purpose}", f"is no purpose; use {', '.join(Purpose)}"
            )
        hours[Purpose(purpose)] = SendWindow.parse(window, field=f"{at}.hours.{purpose}")
    return PackVersion(**{**raw, "sources": tuple(raw["sources"]), "hours": hours})


def check_texts_per_day(most: object, *, field: str = "texts_per_day") -> None:
    """Check a cap on the texts to one person in 24 hours; None stands for no cap.

    Raises:
        InvalidFieldError: It is no whole number from 1 to 100.
    """
    if most is not None and not (type(most) is int and 1 <= most <= TEXTS_MOST):
        raise InvalidFieldError(field, f"must be 1 to {TEXTS_MOST}; give none for no limit")


def _check_keys(
    raw: Mapping[str, Any], at: str, *, needed: Collection[str], known: Collection[str]
) -> None:
    allowed = {*needed, *known}
    for name in raw:
        if name not in allowed:
            raise InvalidFieldError(
                f"{at}.{name}",
                f"is no key of a rule pack; use {', '.join(sorted(allowed))}",
            )
    for name in sorted(needed):
        if name not in raw:
            raise InvalidFieldError(f"{at}.{name}", "is missing", code="missing")


def _shipped() -> Iterator[RulePack]:
    files = Path(__file__).with_name("packs").glob("*.toml")
    for file in sorted(files, key=lambda one: one.stem):  # a country before its states
        yield read(file.stem, file.read_text(encoding="utf-8"))


PACKS: Mapping[str, RulePack] = {one.id: one for one in _shipped()}
"""The packs that ship, by id."""


CAPPED: frozenset[Purpose] = frozenset(
    purpose
    for pack in PACKS.values()
    for version in pack.versions
    if version.texts_per_day is not None
    for purpose in version.hours
)
"""The purposes whose texts some pack counts."""


def check_packs(given: Sequence[str] | None, *, field: str = "rule_packs") -> list[str] | None:
    """Check a workspace's choice of packs; None stands for all, those of later releases too.

    Raises:
        InvalidFieldError: ``unknown_pack``.
    """
    if given is None:
        return None
    for id_ in given:
        if id_ not in PACKS:
            raise InvalidFieldError(
                field,
                f"has {id_!r}, which is no rule pack; use ids from GET /api/rule-packs",
                code="unknown_pack",
            )
    return sorted(set(given))


def chosen(packs: Collection[str] | None) -> Sequence[RulePack]:
    """Give the packs of a workspace; those that no longer ship are left out."""
    return [one for one in PACKS.values() if packs is None or one.id in packs]


@lru_cache(maxsize=4096)
def law(purpose: Purpose, packs: tuple[str, ...] | None, clock: ContactClock) -> tuple[Bound, ...]:
    """Give what binds texts of a purpose to a contact: the packs of where they may live.

    A state's rules go by its own clocks: those of them that the contact may live by, or all of
    these and the contact's, if they may live by none. Where the jurisdiction is not known, all that
    are possible bind, so that no text is outside the hours of any.
    """
    found = []
    for pack in chosen(packs):
        if not any(purpose in one.hours for one in pack.versions):
            continue
        zones: dict[str, None] = {}
        for jurisdiction in clock.jurisdictions:
            if pack.covers(jurisdiction):
                zones |= dict.fromkeys(_zones_there(jurisdiction, clock.zones))
        if zones:
            found.append(Bound(PackHours(pack, purpose), tuple(zones)))
    return tuple(found)


@lru_cache(maxsize=4096)
def _zones_there(jurisdiction: str, zones: tuple[str, ...]) -> tuple[str, ...]:
    state = STATES.get(jurisdiction)
    if state is None:
        return zones
    there = tuple(zone for zone in zones if lives_by(state, zone))
    return there or (*state.zones, *zones)
