"""Changing a sequence while it has enrollments and while texts go out."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import text

from domain.messaging.ports import Accepted, SendRequest
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from services.sequences.sequences import SequenceChange
from storage.sequences.sequences import lock_for_change, update_sequence
from tests.kits.locks import until_blocked
from tests.kits.sending import SendingKit, about, every_day, zone_where_it_is
from tests.worlds import ongoing

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


async def test_new_version_does_not_change_enrolled_contacts_texts(kit: SendingKit) -> None:
    """An enrollment belongs to one version; its steps are pinned."""
    sequence = await kit.sequence("One {{first_name|there}}", "Two")
    enrollment = await kit.enroll(sequence)
    await kit.send(enrollment)
    await kit.services.sequences.change(
        sequence.id,
        SequenceChange(steps=[ongoing("Un", 0), ongoing("Deux", 0), ongoing("Trois", 0)]),
        kit.world.user_id,
    )
    await kit.pass_time(DAY)
    state = await kit.send(enrollment)
    assert (state.doing, state.step_count) == ("awaiting_reply", 2)
    assert (await kit.bodies(enrollment))[1] == "Two"


async def test_changed_reply_window_applies_to_those_awaiting_a_reply(kit: SendingKit) -> None:
    """Everything else of a sequence is read when it is needed."""
    sequence = await kit.sequence("Only one")
    enrollment = await kit.enroll(sequence)
    await kit.send(enrollment)
    change = SequenceChange(reply_window_seconds=3600)
    await kit.services.sequences.change(sequence.id, change, kit.world.user_id)
    assert await kit.pending_signals(enrollment) == ["reconsider"]
    assert about((await kit.run_close(enrollment)).due_at, HOUR)
    await kit.pass_time(HOUR)
    assert (await kit.run_close(enrollment)).status == "finished_no_response"


async def test_wider_send_window_lets_waiting_texts_go(kit: SendingKit) -> None:
    """A changed send window takes effect at once."""
    zone = zone_where_it_is(20)
    sequence = await kit.sequence(send_window=every_day("09:00", "17:00"))
    enrollment = await kit.enroll(sequence, (await kit.world.contacts(1, time_zone=zone.key))[0])
    await kit.run_step(enrollment)
    change = SequenceChange(send_window=None)
    await kit.services.sequences.change(sequence.id, change, kit.world.user_id)
    assert await kit.pending_signals(enrollment) == ["reconsider"]
    await kit.send(enrollment)


async def test_changed_sender_sends_the_next_text(kit: SendingKit) -> None:
    """A changed sender takes effect at once, also for those who waited for the old one's hold."""
    sequence = await kit.sequence()
    held, waiting = await kit.enroll(sequence), await kit.enroll(sequence)
    await kit.refuses(held, 20003, 401)
    await kit.run_step(held)
    other = await kit.world.sender(uuid4(), "+14155550199")
    change = SequenceChange(sender_id=other)
    await kit.services.sequences.change(sequence.id, change, kit.world.user_id)
    assert await kit.pending_signals(held) == ["reconsider"]
    for enrollment in (held, waiting):
        state = await kit.send(enrollment)
        assert state.sender_id == str(other)
        assert kit.gateway.calls[-1].from_phone == "+14155550199"
    assert (await kit.sender()).held_at is not None


async def test_sender_changed_during_a_send_sends_the_text(kit: SendingKit) -> None:
    """A send that waits for the change reads the new sender and still goes."""
    sequence = await kit.sequence("Hello")
    enrollment = await kit.enroll(sequence)
    other = await kit.world.sender(uuid4(), "+14155550199")
    async with kit.world.database.transaction() as tx:
        await lock_for_change(tx, sequence.id)
        begun = asyncio.create_task(kit.services.sending.open_step(enrollment))
        await until_blocked(kit.world.database)
        # In the order of locks: nothing after the sequence is locked yet.
        lock = "SELECT id FROM enrollments WHERE id = :id FOR UPDATE NOWAIT"
        assert await kit.world.rows(lock, id=enrollment)
        await update_sequence(tx, sequence.id, {"sender_id": other})
    call = await begun
    assert isinstance(call, SendRequest)
    assert (call.from_phone, call.body) == ("+14155550199", "Hello")


async def test_sender_changed_while_an_answer_is_recorded_blocks_no_step(kit: SendingKit) -> None:
    """The enrollment still moves on to the next step."""
    sequence = await kit.sequence()
    enrollment = await kit.enroll(sequence)
    other = await kit.world.sender(uuid4(), "+14155550199")
    call = await kit.open_call(enrollment)
    async with kit.world.database.transaction() as tx:
        await lock_for_change(tx, sequence.id)
        answer = Accepted(f"SM{uuid4().hex}", MessageStatus.QUEUED, None)
        recorded = asyncio.create_task(kit.services.sending.record_answer(call.attempt_id, answer))
        await until_blocked(kit.world.database)
        await update_sequence(tx, sequence.id, {"sender_id": other})
    state = await recorded
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.step) == ("waiting", 1)


async def test_step_changed_during_a_send_sends_its_own_text(kit: SendingKit) -> None:
    """A report under a former number moves the enrollment on; the text is the next step's."""
    sequence = await kit.sequence(steps=[ongoing("One", 0), ongoing("Two", 0)])
    enrollment = await kit.enroll(sequence)
    async with kit.world.database.transaction() as tx:
        moved = "UPDATE enrollments SET position = 2 WHERE id = :id"
        await tx.execute(text(moved), {"id": enrollment})
        begun = asyncio.create_task(kit.services.sending.open_step(enrollment))
        await until_blocked(kit.world.database)
    call = await begun
    assert isinstance(call, SendRequest)
    assert call.body == "Two"
