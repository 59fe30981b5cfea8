"""Rule packs: what their files say binds, and slots agree with a brute force over all moments.

``CASES=20`` tries so many windows in each zone and under each pack instead of one.
"""

import os
import random
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import holidays
import pytest

from domain.platform.errors import InvalidFieldError
from domain.platform.jurisdictions import STATES
from domain.sequences import rule_packs
from domain.sequences.rule_packs import PACKS, check_packs, read
from domain.sequences.sending_hours import SendingHours, check_window
from domain.sequences.timing import DAYS, ContactClock, SendWindow, _known_zones, next_slot
from domain.statuses.sequences import Purpose
from tests.kits.allowed_moments import Bound, allowed, first_allowed

CASES = int(os.environ.get("CASES", "1"))
QUARTER = timedelta(minutes=15)
SEARCHED = 9
"""Days: a week, and one for a change of the clocks."""

FILES = {
    file.stem: tomllib.loads(file.read_text())
    for file in (Path(rule_packs.__file__).parent / "packs").glob("*.toml")
}
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
LAWFUL = SendingHours(None, Purpose.MARKETING)
NOON = datetime(2026, 6, 2, 16, tzinfo=UTC)


def quarter(dice: random.Random, first: int, last: int) -> str:
    hours, quarters = divmod(dice.randint(first, last), 4)
    return f"{hours:02}:{15 * quarters:02}"


def window_of(dice: random.Random) -> dict[str, list[str]]:
    """A window that opens on some days, on whole quarters of an hour."""
    days = dice.sample(DAYS, dice.randint(1, 7))
    found = {}
    for day in days:
        opens = dice.randint(0, 95)
        found[day] = [quarter(dice, opens, opens), quarter(dice, opens + 1, 96)]
    return found


def pairs(window: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, str]]:
    return {day: (opens, closes) for day, (opens, closes) in window.items()}


def changes_in(zone: str) -> Iterator[datetime]:
    """Days of five years on which a zone's clocks change."""
    there = ZoneInfo(zone)
    week, day = timedelta(days=7), timedelta(days=1)
    for number in range(5 * 52):
        start = NEW_YEAR + number * week
        offset = start.astimezone(there).utcoffset()
        if offset != (start + week).astimezone(there).utcoffset():
            days = (start + one * day for one in range(1, 8))
            first = next(one for one in days if one.astimezone(there).utcoffset() != offset)
            yield first - day


def test_slots_agree_with_brute_force_wherever_clocks_change() -> None:
    compared = 0
    for zone in sorted(_known_zones()):
        dice = random.Random(zone)
        changes = list(changes_in(zone)) or [NEW_YEAR]
        for _ in range(CASES):
            window = window_of(dice)
            start = dice.choice(changes) + timedelta(seconds=dice.randint(0, 86_400))
            hours = SendingHours(SendWindow.parse(window))
            slot = next_slot(start, hours, ContactClock((zone,), "Etc/UTC"))
            bounds = [Bound(zone, pairs(window))]
            expected = first_allowed(start, bounds, days=22, step=QUARTER)
            assert slot.at == expected, (zone, start, window)
            assert (slot.at > start) == bool(slot.kept_by)
            compared += 1
    assert compared >= 500 * CASES


def bounds_of(pack_id: str, zones: Sequence[str], years: Sequence[int]) -> list[Bound]:
    """The bounds of a pack's file, of one version without an end, on all these clocks."""
    raw = FILES[pack_id]
    [version] = raw["versions"]
    closed: set[date] = set()
    if version.get("closed_on_holidays"):
        closed = set(
            holidays.country_holidays(raw["country"], subdiv=raw.get("state"), years=years)
        )
    return [Bound(zone, pairs(version["hours"]["marketing"]), closed) for zone in zones]


def binding(jurisdiction: str) -> list[str]:
    country, _, state = jurisdiction.partition("-")
    return [
        id_
        for id_, raw in FILES.items()
        if raw["country"] == country and raw.get("state") in {None, state}
    ]


@pytest.mark.parametrize("jurisdiction", STATES)
def test_slots_under_the_law_agree_with_brute_force(jurisdiction: str) -> None:
    """At changes of the clocks, on holidays and any other day, with and without a window."""
    dice = random.Random(jurisdiction)
    state = STATES[jurisdiction]
    for zone in state.zones:
        clock = ContactClock((zone,), "Europe/Paris", (jurisdiction,))
        days = [*changes_in(zone), *(NEW_YEAR + timedelta(days=one) for one in (0, 357, 358, 359))]
        for _ in range(3 * CASES):
            start = dice.choice(days) + timedelta(seconds=dice.randint(0, 86_400))
            window = dice.choice([None, window_of(dice)])
            law = [
                one
                for id_ in binding(jurisdiction)
                for one in bounds_of(id_, [zone], [start.year, start.year + 1])
            ]
            own = [] if window is None else [Bound(zone, pairs(window))]
            hours = SendingHours(SendWindow.parse(window) if window else None, Purpose.MARKETING)
            slot = next_slot(start, hours, clock)
            expected = first_allowed(start, [*own, *law], days=22, step=QUARTER)
            if expected is None and window is not None:  # then by the workspace's clock
                by_us = [Bound("Europe/Paris", pairs(window)), *law]
                expected = first_allowed(start, by_us, days=22, step=QUARTER)
            if expected is None:
                assert not slot.is_open
            else:
                assert slot.is_open
                assert slot.at == expected, (zone, start, window)
            assert {one.partition("@")[0] for one in hours.packs_at(slot.at, clock)} == set(
                binding(jurisdiction)
            )


@pytest.mark.parametrize("phone", ["+18005550100", "+19025550100", "+12875550100"])
@pytest.mark.parametrize("zone", [None, "America/Chicago", "America/Halifax"])
def test_unknown_jurisdiction_is_bound_by_all_that_are_possible(
    phone: str, zone: str | None
) -> None:
    clock = ContactClock.of(time_zone=zone, phone=phone, workspace="America/New_York")
    assert clock.jurisdictions
    dice = random.Random(phone)
    for _ in range(5 * CASES):
        start = NEW_YEAR + timedelta(seconds=dice.randint(0, 365 * 86_400))
        slot = next_slot(start, LAWFUL, clock)
        if not slot.is_open:  # no minute is allowed in all of them: nothing goes
            assert zone is None
            continue
        for one in clock.jurisdictions:
            there = [zone] if zone in STATES[one].zones else STATES[one].zones
            for id_ in binding(one):
                bounds = bounds_of(id_, list(filter(None, there)), [slot.at.year])
                assert allowed(slot.at, bounds), (one, id_, slot.at)


def test_only_marketing_is_bound_and_only_by_the_workspaces_choice() -> None:
    night = datetime(2026, 6, 2, 5, tzinfo=UTC)  # 1 a.m. in Miami
    miami = ContactClock.of(time_zone=None, phone="+13055550100", workspace="America/New_York")
    for purpose in Purpose:
        slot = next_slot(night, SendingHours(None, purpose), miami)
        assert (slot.at > night) == (purpose is Purpose.MARKETING)
    evening = datetime(2026, 6, 3, 0, 30, tzinfo=UTC)  # 8:30 p.m.: the federal rule allows it
    for packs, waits in ((None, True), (("us", "us-fl"), True), (("us",), False), ((), False)):
        assert (
            next_slot(evening, SendingHours(None, Purpose.MARKETING, packs), miami).at > evening
        ) == waits
    london = ContactClock.of(time_zone=None, phone="+442079460000", workspace="America/New_York")
    assert next_slot(night, LAWFUL, london).at == night


def test_new_version_takes_effect_at_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    pack = read(
        "us-zz",
        FILE
        + 'effective_to = 2026-06-02\n[versions.hours.marketing]\nmon = ["08:00", "20:00"]\n'
        + 'tue = ["08:00", "20:00"]\nwed = ["08:00", "20:00"]\n'
        + VERSION.replace("2020-01-01", "2026-06-03").replace('"1"', '"2"')
        + '[versions.hours.marketing]\nwed = ["15:00", "20:00"]\n',
    )
    monkeypatch.setattr(rule_packs, "PACKS", {"us-zz": pack})
    clock = ContactClock(("America/Chicago",), "America/Chicago", ("US-TX",))
    hours = SendingHours(None, Purpose.MARKETING, ("us-zz",))
    slots = [next_slot(NOON + timedelta(days=one), hours, clock).at for one in (0, 1)]
    assert slots == [NOON, datetime(2026, 6, 3, 20, tzinfo=UTC)]
    assert [hours.packs_at(at, clock) for at in slots] == [("us-zz@1",), ("us-zz@2",)]


VERSION = """
[[versions]]
version = "1"
effective_from = 2020-01-01
retrieved = 2026-11-28
sources = ["A statute"]
"""
FILE = f'name = "Test"\ncountry = "US"\nstate = "TX"\n{VERSION}'
HOURS = '[versions.hours.marketing]\nmon = ["08:00", "20:00"]\n'


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("name =", "x", "is not TOML"),
        (f"color = 1\n{FILE}{HOURS}", "x.color", "is no key of a rule pack"),
        (f"{FILE}windows = 1\n{HOURS}", "x.versions.0.windows", "is no key of a rule pack"),
        (FILE, "x.versions.0.hours", "is missing"),
        (f"{FILE}{HOURS}".replace("TX", "ZZ"), "x.state", "is no jurisdiction"),
        (f"{FILE}{HOURS}".replace("US", "XX"), "x.country", "is no jurisdiction"),
        (f"{FILE}{HOURS}{VERSION}{HOURS}", "x.versions.1.effective_from", "is not after the end"),
        (
            f"{FILE}effective_to = 2026-01-01\n{HOURS}{VERSION}{HOURS}",
            "x.versions.1.effective_from",
            "is not after the end of version 1",
        ),
        (f"{FILE}{HOURS}".replace("marketing", "spam"), "x.versions.0.hours.spam", "no purpose"),
        (f'{FILE}{HOURS}tues = ["08:00", "20:00"]', "x.versions.0.hours.marketing.tues", "a day"),
        (f"{FILE}{HOURS}".replace("20:00", "07:00"), "x.versions.0.hours.marketing.mon", "open"),
        (f"{FILE}{HOURS}".replace("2020-01-01", '"soon"'), "x.versions.0.effective_from", "date"),
        (f"{FILE}texts_per_day = 0\n{HOURS}", "x.versions.0.texts_per_day", "must be 1 to"),
        (f"{FILE}{HOURS}".replace('"A statute"', ""), "x.versions.0.sources", "where the rule"),
    ],
)
def test_wrong_file_is_refused_with_the_place_and_the_remedy(
    text: str, field: str, words: str
) -> None:
    with pytest.raises(InvalidFieldError, match=words) as caught:
        read("x", text)
    if field == "x.country":
        assert caught.value.field in {"x.country", "x.state"}
    else:
        assert caught.value.field == field


def test_shipped_packs_say_where_they_were_read() -> None:
    assert PACKS.keys() == FILES.keys() >= {"us", "us-fl", "us-tx", "us-ri", "ca"}
    for pack in PACKS.values():
        expected = pack.country if pack.state is None else f"{pack.country}-{pack.state}"
        assert pack.id == expected.lower()
        for version in pack.versions:
            assert version.sources
            assert version.retrieved.year >= 2026
            assert set(version.hours) == {Purpose.MARKETING}
    assert {one.id for one in PACKS.values() if one.versions[-1].texts_per_day} == {
        *("us-fl", "us-md", "us-ok"),
    }


def test_window_that_a_pack_leaves_empty_is_refused() -> None:
    evening: Any = {day: ["18:30", "20:00"] for day in DAYS}
    hours = SendingHours(SendWindow.parse(evening), Purpose.MARKETING)
    with pytest.raises(InvalidFieldError) as caught:
        check_window(hours, NOON.date())
    assert caught.value.field_code == "window_outside_law"
    assert "Rhode Island" in caught.value.reason
    assert "mon 09:00-18:00" in caught.value.reason
    assert "leave us-ri out" in caught.value.reason
    check_window(SendingHours(SendWindow.parse(evening), Purpose.MARKETING, ("us",)), NOON.date())
    check_window(SendingHours(SendWindow.parse(evening)), NOON.date())
    sundays = SendWindow.parse({"sun": ["12:00", "20:00"]})
    with pytest.raises(InvalidFieldError, match="the rules of Alabama"):
        check_window(SendingHours(sundays, Purpose.MARKETING, ("us", "us-al")), NOON.date())


def test_choice_of_packs_is_checked() -> None:
    assert check_packs(None) is None
    assert check_packs(["us-fl", "us", "us"]) == ["us", "us-fl"]
    with pytest.raises(InvalidFieldError, match="'us-xx', which is no rule pack"):
        check_packs(["us", "us-xx"])
