"""Merging contacts from another system: nobody twice, ids stable, and what follows a change."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.statuses.contacts import FieldType
from services.contacts.contacts import UPSERTED_AT_ONCE
from services.contacts.merging import Merged, Outcome
from tests.kits.sending import SendingKit
from tests.worlds import ongoing

PEOPLE = 1_500
FIELDS = {"job_title": FieldType.TEXT, "level": FieldType.NUMBER}

Export = dict[str, dict[str, Any]]
"""People as another system has them, by their ids there."""


async def sync(kit: SendingKit, export: Export) -> dict[str, Merged]:
    """Upsert a whole export, as many at once as may be; return each row's result by id."""
    rows = [{"external_id": key, **one} for key, one in export.items()]
    found: list[Merged] = []
    for first in range(0, len(rows), UPSERTED_AT_ONCE):
        part: Any = dict(enumerate(rows[first : first + UPSERTED_AT_ONCE]))
        merged = await kit.services.contacts.upsert(part)
        found += [merged[index] for index in part]
    return dict(zip(export, found, strict=True))


def person(number: int, luck: random.Random) -> dict[str, Any]:
    return {
        "first_name": f"Ann{number}",
        "last_name": luck.choice(["Lee", "Ray"]),
        "phone": f"+1212{5_000_000 + number}",
        "fields": {"job_title": luck.choice(["Welder", "Driver"]), "level": luck.randrange(5)},
    }


def changed(one: dict[str, Any], luck: random.Random, number: int) -> dict[str, Any]:
    """Change a person somehow: a value, a field taken away, a new phone."""
    match luck.randrange(4):
        case 0:
            return {**one, "last_name": f"{one['last_name']}-May"}
        case 1:
            return {**one, "fields": {**one["fields"], "level": None}}
        case 2:
            return {**one, "phone": f"+1213{5_000_000 + number}"}
        case _:
            return {**one, "time_zone": luck.choice(["America/Denver", "America/Chicago"])}


async def test_export_synced_three_times_with_changes_doubles_nobody(kit: SendingKit) -> None:
    luck = random.Random(7)
    for key, kind in FIELDS.items():
        await kit.services.fields.create(key, "", kind)
    # Some are known by their numbers alone; they get their external ids.
    known = [f"+1212{5_000_000 + number}" for number in range(0, PEOPLE, 50)]
    by_phone = dict(zip(known, await kit.world.numbers(known), strict=True))
    export = {f"crm-{number}": person(number, luck) for number in range(PEOPLE)}
    ids: dict[str, UUID | None] = {}
    touched: list[str] = []
    for turn in range(3):
        before = {row.id: row for row in await kit.world.rows("SELECT * FROM contacts")}
        found = await sync(kit, export)
        counts = Counter(one.outcome for one in found.values())
        if turn == 0:
            assert counts == {Outcome.CREATED: PEOPLE - len(known), Outcome.CHANGED: len(known)}
            ids = {key: one.contact_id for key, one in found.items()}
            assert set(by_phone.values()) <= set(ids.values())
        else:
            assert counts == {
                Outcome.CHANGED: len(touched),
                Outcome.UNCHANGED: PEOPLE - len(touched),
            }
            assert {key: one.contact_id for key, one in found.items()} == ids
        again = await sync(kit, export)
        assert {one.outcome for one in again.values()} == {Outcome.UNCHANGED}

        rows = {row.external_id: row for row in await kit.world.rows("SELECT * FROM contacts")}
        assert rows.keys() == export.keys()
        for key, one in export.items():
            row = rows[key]
            assert row.id == ids[key]
            values = {**one, "fields": {k: v for k, v in one["fields"].items() if v is not None}}
            assert {name: getattr(row, name) for name in values} == values
            if found[key].outcome is Outcome.UNCHANGED:
                assert row == before[row.id]
        touched = luck.sample(sorted(export), PEOPLE // 10)
        for key in touched:
            number = int(key.removeprefix("crm-")) + turn * PEOPLE
            export[key] = changed(export[key], luck, number)
        # A sample may set what somebody has already.
        touched = [key for key in touched if _differs(rows[key], export[key])]


def _differs(row: Any, one: dict[str, Any]) -> bool:
    values = {**one, "fields": {k: v for k, v in one["fields"].items() if v is not None}}
    return any(getattr(row, name) != value for name, value in values.items())


async def test_upserts_at_once_create_and_move_everybody_once(kit: SendingKit) -> None:
    """Several programs sync the same people in different orders; the last one wins, none fails."""
    luck = random.Random(11)
    people = {f"crm-{one}": {**person(one, luck), "fields": {}} for one in range(60)}

    async def one_program(turn: int) -> dict[str, Merged]:
        keys = sorted(people)
        random.Random(turn).shuffle(keys)
        moved = {"phone": f"+1213555{turn:04}"}
        return await sync(
            kit, {key: {**people[key], **(moved if key == "crm-7" else {})} for key in keys}
        )

    found = await asyncio.gather(*(one_program(turn) for turn in range(6)))
    created = Counter(one.outcome for some in found for one in some.values())[Outcome.CREATED]
    assert created == 60
    assert all(one.outcome is not Outcome.ERROR for some in found for one in some.values())
    for key in people:
        assert len({some[key].contact_id for some in found}) == 1
    [count] = await kit.world.rows("SELECT count(*) AS n FROM contacts")
    assert count.n == 60


async def test_what_follows_a_changed_contact_follows_an_upsert(kit: SendingKit) -> None:
    """Waiting steps go by the new zone, former numbers are remembered, the audit names no value."""
    sequence = await kit.sequence("Hi", ongoing("At half past nine", 2 * 86_400, "09:30"))
    contact_ids = await kit.world.contacts(2)
    enrollments = [await kit.enroll(sequence, one) for one in contact_ids]
    for one in enrollments:
        await kit.send(one)
    before = [await kit.row(one) for one in enrollments]
    phones = [(await kit.services.contacts.get(one)).phone for one in contact_ids]
    found = await kit.services.contacts.upsert(
        {
            0: {"phone": phones[0], "external_id": "west", "time_zone": "America/Los_Angeles"},
            1: {"phone": phones[1], "external_id": "moved"},
        }
    )
    assert [found[index].outcome for index in (0, 1)] == [Outcome.CHANGED] * 2
    after = [await kit.row(one) for one in enrollments]
    assert after[0].due_at - before[0].due_at == timedelta(hours=3)
    assert after[1].due_at == before[1].due_at
    assert await kit.pending_signals(enrollments[0]) == ["reconsider"]

    await kit.services.contacts.upsert({0: {"external_id": "moved", "phone": "+12135550199"}})
    [former] = await kit.world.rows("SELECT * FROM former_phones")
    assert (former.contact_id, former.phone) == (contact_ids[1], phones[1])
    audited = await kit.world.rows(
        "SELECT subject_id, detail FROM audit_log WHERE action = 'contact.change' ORDER BY id"
    )
    assert {(row.subject_id, row.detail["fields"]) for row in audited} == {
        (contact_ids[0], "external_id,time_zone"),
        (contact_ids[1], "external_id"),
        (contact_ids[1], "phone"),
    }
