"""Pausing single enrollments, and rescheduling steps when a time zone changes."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.sequences.timing import ContactClock
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind
from services.contacts.values import ContactFields
from services.enrollments.rescheduling import contacts_moved, workspace_moved
from services.messaging.holds import Decision
from tests.kits.sending import SendingKit, about
from tests.worlds import ZONE, ongoing, scheduled

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
LOS_ANGELES = "America/Los_Angeles"


async def pause(kit: SendingKit, *enrollments: UUID) -> list[str]:
    done = await kit.services.pausing.pause(enrollments, kit.world.user_id)
    return [one.result for one in done]


async def resume(kit: SendingKit, *enrollments: UUID) -> list[str]:
    done = await kit.services.pausing.resume(enrollments, kit.world.user_id)
    return [one.result for one in done]


async def test_resume_keeps_the_remaining_delay(kit: SendingKit) -> None:
    """A paused enrollment keeps its remaining delay."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.pass_time(6 * HOUR)

    assert await pause(kit, enrollment) == ["paused"]
    row = await kit.row(enrollment)
    assert (row.activity, row.next_send_at) == ("paused", None)
    await kit.pass_time(5 * DAY)
    blocked = await kit.run_step(enrollment)  # as its old timer does
    assert not isinstance(blocked, timedelta)
    assert (blocked.doing, blocked.due_at) == ("paused", None)

    assert await resume(kit, enrollment) == ["resumed"]
    row = await kit.row(enrollment)
    assert (row.activity, row.paused_at) == ("waiting", None)
    assert about(row.next_send_at, 18 * HOUR)
    assert await kit.pending_signals(enrollment) == ["reconsider"]
    waiting = await kit.run_step(enrollment)
    assert not isinstance(waiting, timedelta)
    assert (waiting.doing, waiting.due_at) == ("waiting", row.next_send_at)
    await kit.pass_time(18 * HOUR)
    assert (await kit.send(enrollment)).step == 2


async def test_overdue_step_goes_on_resume(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await kit.pass_time(2 * DAY)
    await pause(kit, enrollment)
    await kit.pass_time(DAY)
    await resume(kit, enrollment)
    assert (await kit.send(enrollment)).step == 2


async def test_text_under_way_goes_and_the_next_waits(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    assert await pause(kit, enrollment) == ["paused"]
    assert (await kit.row(enrollment)).activity == "sending"

    answer = await kit.gateway.create(call)
    await kit.services.sending.record_answer(call.attempt_id, answer)
    row = await kit.row(enrollment)
    assert (row.activity, row.step, row.next_send_at) == ("paused", 1, None)
    await kit.pass_time(3 * DAY)
    await resume(kit, enrollment)
    assert about((await kit.row(enrollment)).next_send_at, DAY)


async def test_text_that_failed_during_the_pause_is_retried_on_resume(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await pause(kit, enrollment)
    await kit.pass_time(2 * HOUR)
    [attempt] = await kit.attempts(enrollment)
    await kit.report(attempt, "undelivered", 30001)
    blocked = await kit.run_step(enrollment)
    assert not isinstance(blocked, timedelta)
    assert blocked.doing == "paused"
    await kit.pass_time(DAY)
    await resume(kit, enrollment)
    assert (await kit.send(enrollment)).step == 1


async def test_every_row_gets_its_result(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    [active, done, over] = [await kit.enroll(sequence) for _ in range(3)]
    await kit.send_all(over)
    await kit.services.finishing.mark_finished([done], kit.world.user_id)
    nobody = uuid4()
    asked = (over, active, done, nobody, active)
    assert await resume(kit, active) == ["not_paused"]
    paused = ["awaiting_reply", "paused", "already_final", "not_found", "paused"]
    assert await pause(kit, *asked) == paused
    assert await pause(kit, active) == ["already_paused"]
    resumed = ["not_paused", "resumed", "already_final", "not_found", "resumed"]
    assert await resume(kit, *asked) == resumed
    entries = await kit.world.rows(
        "SELECT action, subject_id, user_id FROM audit_log"
        " WHERE action IN ('enrollment.pause', 'enrollment.resume') ORDER BY id"
    )
    assert [
        (entry.action, entry.subject_id) for entry in entries if entry.subject_id == active
    ] == [
        ("enrollment.pause", active),
        ("enrollment.resume", active),
    ]
    assert {entry.user_id for entry in entries} == {kit.world.user_id}


async def test_resumed_sequence_leaves_single_enrollments_paused(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    one, other = [await kit.enroll(sequence) for _ in range(2)]
    await kit.services.sequences.pause(sequence.id)
    await pause(kit, one)
    for enrollment in (one, other):
        await kit.run_step(enrollment)
    await kit.services.sequences.resume(sequence.id)
    assert (await kit.row(one)).activity == "paused"
    assert (await kit.row(other)).activity == "waiting"
    await kit.services.sweep.sweep()
    assert (await kit.row(one)).activity == "paused"


async def test_resumed_enrollment_waits_for_its_paused_sequence(kit: SendingKit) -> None:
    sequence = await kit.sequence()
    enrollment = await kit.enroll(sequence)
    await kit.services.sequences.pause(sequence.id)
    await pause(kit, enrollment)
    await resume(kit, enrollment)
    blocked = await kit.run_step(enrollment)
    assert not isinstance(blocked, timedelta)
    assert blocked.doing == "paused"
    await kit.services.sequences.resume(sequence.id)
    assert (await kit.send(enrollment)).step == 1


async def test_hold_for_a_decision_outlasts_a_pause(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.world.run(
        "UPDATE enrollments SET activity = 'held', held_reason = 'destination_not_allowed'"
        " WHERE id = :id",
        id=enrollment,
    )
    await pause(kit, enrollment)
    assert (await kit.row(enrollment)).held_reason == "destination_not_allowed"
    await kit.services.holds.release([enrollment], Decision.RETRY, kit.world.user_id)
    blocked = await kit.run_step(enrollment)
    assert not isinstance(blocked, timedelta)
    assert blocked.doing == "paused"
    await resume(kit, enrollment)
    assert (await kit.send(enrollment)).step == 1


@pytest.mark.parametrize("first", ["paused", "finished"])
async def test_paused_enrollment_can_end(kit: SendingKit, first: str) -> None:
    """A reply, a STOP or a finish ends an enrollment, paused or not."""
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    await pause(kit, enrollment)
    if first == "paused":
        await kit.text_back(enrollment, "STOP")
        expected = EnrollmentStatus.OPTED_OUT
    else:
        await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
        expected = EnrollmentStatus.FINISHED_STOPPED
    row = await kit.row(enrollment)
    assert (row.status, row.paused_at) == (expected, None)
    assert await resume(kit, enrollment) == ["already_final"]


async def test_no_text_starts_after_a_pause_is_answered(kit: SendingKit) -> None:
    """A text that started before the pause shows as sending."""
    sequence = await kit.sequence()
    enrollments = await kit.enroll_many(12, sequence)
    await asyncio.gather(
        *(kit.services.sending.open_step(one) for one in enrollments),
        *(pause(kit, one) for one in enrollments),
        pause(kit, *reversed(enrollments)),
    )
    for enrollment in enrollments:
        row = await kit.row(enrollment)
        assert row.paused_at is not None
        attempts = await kit.attempts(enrollment)
        assert row.activity == ("sending" if attempts else "paused")
        assert all(
            attempt.started_at <= row.paused_at + timedelta(seconds=5) for attempt in attempts
        )


# A changed zone


async def move_west(kit: SendingKit, enrollment: UUID) -> None:
    [row] = await kit.world.rows(
        "SELECT c.id, c.phone FROM enrollments e JOIN contacts c ON c.id = e.contact_id"
        " WHERE e.id = :id",
        id=enrollment,
    )
    await kit.world.run(
        "UPDATE contacts SET time_zone = :zone WHERE id = :id", zone=LOS_ANGELES, id=row.id
    )
    before, after = (
        ContactClock.of(time_zone=zone, phone=row.phone, workspace=ZONE)
        for zone in (ZONE, LOS_ANGELES)
    )
    async with kit.world.database.transaction() as tx:
        await contacts_moved(tx, {row.id: (before, after)})


async def test_time_of_day_follows_a_changed_zone_at_once(kit: SendingKit) -> None:
    """A changed zone applies at once."""
    sequence = await kit.sequence("Hi", ongoing("At half past nine", 2 * 86_400, "09:30"))
    enrollment = await kit.enroll(sequence)
    await kit.send(enrollment)
    before = await kit.row(enrollment)
    await move_west(kit, enrollment)
    after = await kit.row(enrollment)
    assert after.due_at - before.due_at == 3 * HOUR
    assert after.next_send_at == after.due_at
    assert await kit.pending_signals(enrollment) == ["reconsider"]
    state = await kit.run_step(enrollment)
    assert not isinstance(state, timedelta)
    assert state.due_at == after.due_at


async def test_date_follows_a_changed_zone_and_a_delay_does_not(kit: SendingKit) -> None:
    date = (datetime.now(UTC) + 10 * DAY).replace(hour=9, minute=30, second=0, microsecond=0)
    sequence = await kit.sequence(kind=SequenceKind.SCHEDULED, steps=[scheduled("Hello", date)])
    dated, delayed = await kit.enroll(sequence), await kit.enroll()
    await kit.send(delayed)
    was_dated, was_delayed = await kit.row(dated), await kit.row(delayed)
    for enrollment in (dated, delayed):
        await move_west(kit, enrollment)
    assert (await kit.row(dated)).due_at - was_dated.due_at == 3 * HOUR
    assert (await kit.row(delayed)).due_at == was_delayed.due_at


async def test_new_workspace_zone_reschedules_those_who_depend_on_it(kit: SendingKit) -> None:
    sequence = await kit.sequence("Hi", ongoing("At half past nine", 2 * 86_400, "09:30"))
    own, depending = await kit.world.contacts(2)
    # A toll-free number allows every zone of the country, so the workspace's applies.
    await kit.world.run(
        "UPDATE contacts SET time_zone = NULL, phone = '+18005550199' WHERE id = :id", id=depending
    )
    enrollments = [await kit.enroll(sequence, one) for one in (own, depending)]
    for enrollment in enrollments:
        await kit.send(enrollment)
    before = [await kit.row(one) for one in enrollments]

    async with kit.world.database.transaction() as tx:
        await workspace_moved(
            tx,
            [own, depending],
            lambda contact: contact.clock(ZONE),
            lambda contact: contact.clock(LOS_ANGELES),
        )
    after = [await kit.row(one) for one in enrollments]
    moves = [now.due_at - then.due_at for then, now in zip(before, after, strict=True)]
    assert moves == [timedelta(0), 3 * HOUR]


async def test_steps_follow_a_contact_who_moves(kit: SendingKit) -> None:
    """A changed zone applies at once, a changed phone from the next text."""
    sequence = await kit.sequence("Hi", ongoing("At half past nine", 2 * 86_400, "09:30"))
    [contact] = await kit.world.contacts(1)
    enrollment = await kit.enroll(sequence, contact)
    await kit.send(enrollment)
    before = await kit.row(enrollment)

    await kit.services.contacts.update(contact, {"time_zone": LOS_ANGELES})
    assert (await kit.row(enrollment)).due_at - before.due_at == 3 * HOUR
    await kit.services.contacts.update(contact, {"first_name": "Anna"})
    assert await kit.pending_signals(enrollment) == ["reconsider"]

    await kit.services.contacts.update(contact, {"time_zone": None, "phone": "+12125550142"})
    assert (await kit.row(enrollment)).due_at == before.due_at
    await kit.pass_time((await kit.row(enrollment)).due_at - datetime.now(UTC))
    await kit.send(enrollment)
    assert kit.gateway.calls[-1].to == "+12125550142"
    assert (await kit.message(enrollment, 1)).phone != (await kit.message(enrollment, 2)).phone


async def test_contact_changes_and_sends_do_not_deadlock(kit: SendingKit) -> None:
    """Changes and sends lock in one order: none fails, none is lost."""
    sequence = await kit.sequence()
    contacts = await kit.world.contacts(8)
    enrollments = [await kit.enroll(sequence, contact) for contact in contacts]
    zones: list[ContactFields] = [
        {"time_zone": LOS_ANGELES},
        {"time_zone": ZONE},
        {"line_type": LineType.LANDLINE},
    ]
    changes = [
        kit.services.contacts.update(contact, change) for contact in contacts for change in zones
    ]
    await asyncio.gather(*changes, *(kit.run_step(one) for one in enrollments))
    for enrollment in enrollments:
        assert (await kit.row(enrollment)).activity in {"waiting", "sending", None}
