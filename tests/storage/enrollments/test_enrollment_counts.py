"""Counts of enrollments: exact at every moment, whoever changes them; and the names of lists."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import pytest
from sqlalchemy import text

from domain.enrollments.next_event import NextEvent
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from storage.enrollments import enrollment_counts, enrollments
from storage.enrollments.enrollment_counts import Cell
from storage.platform.database import Transaction
from tests.kits.enrollment_rows import NOW, Rows
from tests.worlds import small_world

ACTIVE = EnrollmentStatus.ACTIVE

_COUNTED = text(
    "SELECT status, step, activity IS NOT DISTINCT FROM 'held', count(*) FROM enrollments"
    " WHERE sequence_id = :sequence_id GROUP BY 1, 2, 3"
)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[Rows]:
    """An active sequence."""
    async with small_world(database_url) as small:
        await small.active()
        yield Rows(small.database, small.user_id, small.sender_id)


async def sequence_of(world: Rows) -> UUID:
    found: UUID = (await world.rows("SELECT id FROM sequences"))[0].id
    return found


async def kept(world: Rows) -> set[Cell]:
    return set(await world.write(enrollment_counts.cells, await sequence_of(world)))


async def counted(world: Rows) -> set[Cell]:
    rows = await world.rows(str(_COUNTED), sequence_id=await sequence_of(world))
    return {Cell(EnrollmentStatus(row[0]), *row[1:]) for row in rows}


async def parts(world: Rows) -> int:
    [row] = await world.rows("SELECT count(*) AS number FROM enrollment_counts WHERE NOT folded")
    return int(row.number)


async def record_sent(tx: Transaction, one: UUID) -> None:
    await enrollments.record_sent(tx, one, 1, 1, NextEvent(2, NOW, NOW), at=NOW, signal=None)


async def hold(tx: Transaction, one: UUID) -> None:
    await enrollments.hold(tx, one, HeldReason.SENDER_ON_HOLD, at=NOW)


async def end(tx: Transaction, one: UUID) -> None:
    await enrollments.end(tx, [one], EnrollmentStatus.FINISHED_STOPPED, signal=None)


async def erase(tx: Transaction, one: UUID) -> None:
    await enrollments.erase(tx, [one])


async def test_counts_follow_every_change(world: Rows) -> None:
    first, second, third = await world.enroll(ACTIVE, ACTIVE, EnrollmentStatus.OMITTED_LANDLINE)
    assert await kept(world) == {
        Cell(ACTIVE, 0, held=False, size=2),
        Cell(EnrollmentStatus.OMITTED_LANDLINE, 0, held=False, size=1),
    }
    await world.write(record_sent, first)
    await world.write(hold, second)
    await world.write(erase, third)
    assert await kept(world) == {
        Cell(ACTIVE, 1, held=False, size=1),
        Cell(ACTIVE, 0, held=True, size=1),
    }
    await world.write(end, first)
    await world.write(enrollments.release, second)
    assert await kept(world) == {
        Cell(EnrollmentStatus.FINISHED_STOPPED, 1, held=False, size=1),
        Cell(ACTIVE, 0, held=False, size=1),
    }


async def test_change_that_counts_nothing_writes_no_count(world: Rows) -> None:
    [one] = await world.enroll(ACTIVE)
    before = await parts(world)
    async with world.database.transaction() as tx:
        await tx.execute(text(enrollments.START), {"enrollment_id": one})
        await enrollments.schedule(tx, one, NOW)
    assert await parts(world) == before


async def test_transaction_sees_its_own_changes_and_others_do_not(world: Rows) -> None:
    [one] = await world.enroll(ACTIVE)
    before, sequence_id = await kept(world), await sequence_of(world)
    async with world.database.transaction() as tx:
        await end(tx, one)
        assert set(await enrollment_counts.cells(tx, sequence_id)) == {
            Cell(EnrollmentStatus.FINISHED_STOPPED, 0, held=False, size=1)
        }
        assert await kept(world) == before
        await tx.rollback()
    assert await kept(world) == before


async def test_folding_leaves_one_row_for_each_cell(world: Rows) -> None:
    ids = await world.enroll(*[ACTIVE] * 5)
    for one in ids[:3]:
        await world.write(record_sent, one)
    before = await kept(world)
    assert await world.write(enrollment_counts.fold, 4) == 4
    assert await kept(world) == before
    await world.write(end, ids[0])
    assert await world.write(enrollment_counts.fold, 100) == 5
    assert await parts(world) == 0
    assert await kept(world) == await counted(world)
    rows = await world.rows("SELECT status, step FROM enrollment_counts")
    assert len(rows) == len(set(rows))
    assert await world.write(enrollment_counts.fold, 100) == 0


async def test_counts_stay_exact_while_many_change_them(world: Rows) -> None:
    """Whoever sums meanwhile sees all of a transaction or nothing: here, always ten more active."""
    sequence_id = await sequence_of(world)
    left = [await world.enroll(*[ACTIVE] * 10) for _ in range(8)]
    sums: list[int] = []
    done = asyncio.Event()

    async def change(ids: Sequence[UUID], seed: int) -> None:
        chance = random.Random(seed)
        for one in ids:
            for act in (record_sent, hold, enrollments.release, chance.choice([end, erase])):
                await world.write(act, one)
        await world.enroll(*[ACTIVE] * 10)

    async def fold() -> None:
        while not done.is_set():
            await world.write(enrollment_counts.fold, 7)
            await asyncio.sleep(0)

    async def add_up() -> None:
        while not done.is_set():
            async with world.database.transaction() as tx:
                # One statement, so one snapshot.
                row = await tx.execute(
                    text(
                        "SELECT (SELECT sum(change) FROM enrollment_counts"
                        " WHERE sequence_id = :sequence_id) - (SELECT count(*) FROM enrollments)"
                    ),
                    {"sequence_id": sequence_id},
                )
                sums.append(row.scalar_one())

    watching = [
        asyncio.create_task(fold()),
        asyncio.create_task(fold()),
        *map(asyncio.create_task, [add_up()]),
    ]
    await asyncio.gather(*(change(ids, seed) for seed, ids in enumerate(left)))
    done.set()
    await asyncio.gather(*watching)
    assert len(sums) > 10
    assert set(sums) == {0}
    assert await kept(world) == await counted(world)


async def search_rows(world: Rows) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT search_name, phone FROM enrollment_search ORDER BY 1")
    return [tuple(row) for row in rows]


async def test_names_of_lists_follow_contacts_and_enrollments(world: Rows) -> None:
    ann = (await world.contacts(1, first_name="Ann", last_name="Lee", phone="+14155550101"))[0]
    bob = (await world.contacts(1, first_name="Bob", last_name="Fox", phone="+14155550102"))[0]
    first, _ = await world.enroll(ACTIVE, ACTIVE, contact_ids=[ann, bob])
    assert await search_rows(world) == [("ann lee", "+14155550101"), ("bob fox", "+14155550102")]
    await world.run(
        "UPDATE contacts SET last_name = 'Zoë', phone = '+14155550109' WHERE id = :id", id=ann
    )
    assert await search_rows(world) == [("ann zoe", "+14155550109"), ("bob fox", "+14155550102")]
    await world.write(erase, first)
    assert await search_rows(world) == [("bob fox", "+14155550102")]


async def test_contact_renamed_while_being_enrolled_is_listed_by_the_new_name(world: Rows) -> None:
    """The enrolling transaction has locked the contact; the change waits for it, then finds it."""
    [ann] = await world.contacts(1, first_name="Ann", last_name="Lee")
    async with world.database.transaction() as tx:
        await tx.execute(text("SELECT id FROM contacts WHERE id = :id FOR SHARE"), {"id": ann})
        renaming = asyncio.create_task(
            world.run("UPDATE contacts SET first_name = 'Eva' WHERE id = :id", id=ann)
        )
        await asyncio.sleep(0.1)
        assert not renaming.done()
        await tx.execute(
            text(
                "INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by,"
                " enrolled_at, status, activity, position, step, step_count)"
                " SELECT gen_random_uuid(), v.sequence_id, v.id, :id, :user_id, now(), 'active',"
                " 'waiting', 1, 0, 3 FROM sequence_versions v"
            ),
            {"id": ann, "user_id": world.user_id},
        )
    await renaming
    [(name, _)] = await search_rows(world)
    assert name == "eva lee"
