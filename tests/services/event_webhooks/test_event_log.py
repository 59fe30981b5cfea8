"""Events read again: in order, none skipped that commits late, for 30 days."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from domain.event_webhooks.events import EventType
from domain.platform.errors import GoneError
from services.event_webhooks import event_log
from services.event_webhooks.event_log import EventLog, EventsRead
from storage.event_webhooks import events
from storage.platform.database import Transaction
from tests.kits.sending import SendingKit

CREATED = EventType.ENROLLMENT_CREATED
DONE = EventType.ENROLLMENT_FINISHED


async def write(kit: SendingKit, ids: Sequence[UUID], tx: Transaction | None = None) -> None:
    async with kit.world.database.within(tx) as within:
        await events.enrollments_created(within, ids)


def about(read: EventsRead) -> list[UUID]:
    return [UUID(one.data["enrollment_id"]) for one in read.items]


async def test_event_that_commits_late_is_not_skipped(kit: SendingKit) -> None:
    log = EventLog(kit.world.database, patience=0.1)
    first, early, late, after = await kit.enroll_many(4)
    start = (await log.read()).last_id
    await write(kit, [first])
    async with kit.world.database.transaction() as slow:
        # Whoever writes something else first has the lower number, and the event the higher one.
        async with kit.world.database.transaction() as quick:
            await write(kit, [late], slow)
            await write(kit, [early], quick)
        read = await log.read(after=start)
        assert (about(read), read.more) == ([first], False)
        assert about(await log.read(after=read.last_id)) == []
        again = await log.read(after=read.last_id)
        assert again.last_id == read.last_id
        patient = asyncio.create_task(EventLog(kit.world.database).read(after=read.last_id))
        await asyncio.sleep(0.1)
        assert not patient.done()
    assert about(await patient) == [late, early]
    await write(kit, [after])
    assert about(await log.read(after=(await patient).last_id)) == [after]


async def test_event_written_while_a_reader_waits_is_not_skipped(kit: SendingKit) -> None:
    log = EventLog(kit.world.database)
    late, seen, later, last = await kit.enroll_many(4)
    start = (await log.read()).last_id
    async with kit.world.database.transaction() as slower:
        async with kit.world.database.transaction() as slow:
            await write(kit, [late], slow)
            await write(kit, [seen])
            reading = asyncio.create_task(log.read(after=start))
            await asyncio.sleep(0.1)
            await write(kit, [later], slower)
            await write(kit, [last])
        read = await reading
    assert about(read) == [late, seen]
    assert about(await log.read(after=read.last_id)) == [later, last]


async def test_number_that_was_given_up_keeps_nobody_waiting(kit: SendingKit) -> None:
    log = EventLog(kit.world.database, patience=0)
    before, lost, after = await kit.enroll_many(3)
    start = (await log.read()).last_id
    await write(kit, [before])
    async with kit.world.database.transaction() as tx:
        await write(kit, [lost], tx)
        await tx.rollback()
    await write(kit, [after])
    assert about(await log.read(after=start)) == [before, after]


async def test_pages_hold_every_event_once_and_types_are_filtered(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(kit.world.database)
    ids = await kit.enroll_many(7)
    await kit.services.finishing.mark_finished(ids[2:4], kit.world.user_id)
    found, after, more = list[UUID](), None, True
    while more:
        page = await log.read(after=after, limit=2)
        found += [one.id for one in page.items]
        after, more = page.last_id, page.more
    kept = await kit.world.rows("SELECT event_id FROM events ORDER BY id")
    assert found == [one.event_id for one in kept]

    page = await log.read(types=[DONE], limit=1)
    assert (about(page), page.more) == (ids[2:3], True) or about(page) == ids[3:4]
    page = await log.read(types=[DONE], after=page.last_id)
    assert (len(page.items), page.more) == (1, False)
    assert page.last_id == found[-1]
    # A page looks through so many events, and says where it stopped.
    monkeypatch.setattr(event_log, "_LOOKED_THROUGH", 3)
    page = await log.read(types=[DONE])
    assert (page.items, page.last_id, page.more) == ([], found[2], True)
    assert (await log.read(types=[CREATED], after=found[2])).last_id == found[5]


async def test_event_that_is_not_kept_is_gone(kit: SendingKit) -> None:
    log = EventLog(kit.world.database)
    assert await log.read() == EventsRead((), None, more=False)
    await kit.enroll()
    first = (await log.read()).last_id
    assert first is not None
    await kit.pass_time(timedelta(days=31))
    await kit.enroll()
    assert len((await log.read()).items) == 2
    assert (await kit.services.sweep.sweep()).failures == []
    assert len((await log.read()).items) == 1
    for gone in (first, uuid4()):
        with pytest.raises(GoneError) as refused:
            await log.read(after=gone)
        assert refused.value.what == "event_not_kept"
