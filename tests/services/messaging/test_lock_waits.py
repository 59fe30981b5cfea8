"""The sweep and people see the present row after waiting for its lock."""

import asyncio
from datetime import time
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from domain.enrollments.next_step import NextStep
from domain.messaging.ports import Accepted
from domain.statuses.messaging import MessageStatus
from storage.enrollments import next_step, waiting_steps
from storage.enrollments.waiting_steps import WaitingStep
from tests.kits.locks import until_blocked
from tests.kits.sender_holds import PROBE, three_waiting
from tests.kits.sending import SendingKit
from tests.worlds import ongoing

DAY = 86_400


@pytest.mark.parametrize("sender", ["on hold", "free again"])
async def test_sweep_does_not_wake_an_enrollment_being_paused(kit: SendingKit, sender: str) -> None:
    """A single enrollment paused waits for a person, not for its sender."""
    everyone = await three_waiting(kit)
    await kit.pass_time(PROBE)
    if sender == "free again":
        await kit.world.run("UPDATE senders SET held_at = NULL, next_probe_at = NULL")
    async with kit.world.database.transaction() as tx:
        await kit.services.pausing.pause(everyone, kit.world.user_id, within=tx)
        sweep = asyncio.create_task(kit.services.sweep.sweep())
        await until_blocked(kit.world.database)
    report = await sweep
    assert (report.failures, report.probes) == ([], 0)
    for one in everyone:
        row = await kit.row(one)
        assert (row.activity, row.next_send_at, row.probing) == ("paused", None, False)
        assert row.paused_at is not None


async def test_row_is_read_after_waiting_for_its_lock(
    kit: SendingKit,
) -> None:
    """What waited for a text to be recorded sees the step that comes next."""
    steps = [ongoing("One", 0), ongoing("Two", DAY, at_time="09:30")]
    enrollment = await kit.enroll(await kit.sequence(steps=steps))

    async def read() -> list[WaitingStep]:
        async with kit.world.database.transaction() as tx:
            return await waiting_steps.lock(tx, [enrollment])

    async with kit.world.database.transaction() as tx:
        await tx.execute(
            text("UPDATE enrollments SET position = 2 WHERE id = :id"), {"id": enrollment}
        )
        reading = asyncio.create_task(read())
        await until_blocked(kit.world.database)
        recorded_at = (await tx.execute(text("SELECT clock_timestamp()"))).scalar_one()
    [row] = await reading
    assert row.at_time == time(9, 30)
    assert row.read_at > recorded_at


@pytest.mark.parametrize("number", ["stays", "moves"])
async def test_zone_changed_while_a_text_is_recorded_times_the_next_step(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    """A time of day is the contact's own, also of one with another number."""
    [contact] = await kit.world.contacts(1, time_zone="America/New_York")
    steps = [ongoing("One", 0), ongoing("Two", DAY, at_time="09:30")]
    enrollment = await kit.enroll(await kit.sequence(steps=steps), contact)
    call = await kit.open_call(enrollment)
    if number == "moves":
        await kit.services.contacts.update(contact, {"phone": "+13105550188"})
    changes: list[asyncio.Task[Any]] = []
    read_place = next_step.find

    async def read_before_the_change(*args: Any, **named: Any) -> NextStep:
        place = await read_place(*args, **named)
        change = kit.services.contacts.update(contact, {"time_zone": "America/Los_Angeles"})
        changes.append(asyncio.create_task(change))
        await asyncio.wait(changes, timeout=0.5)
        return place

    monkeypatch.setattr(next_step, "find", read_before_the_change)
    answer = Accepted(f"SM{uuid4().hex}", MessageStatus.QUEUED, None)
    await kit.services.sending.record_answer(call.attempt_id, answer)
    await asyncio.gather(*changes)
    due_at = (await kit.row(enrollment)).due_at
    assert due_at.astimezone(ZoneInfo("America/Los_Angeles")).time() == time(9, 30)
