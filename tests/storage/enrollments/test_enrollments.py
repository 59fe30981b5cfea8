"""Every transition of an enrollment's row: what it changes, and when its guard allows it."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from domain.enrollments.next_event import NextEvent
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from storage.enrollments import enrollments, pauses, replies, variables
from storage.enrollments.enrollments import Ending
from storage.enrollments.waiting_steps import RescheduledStep
from storage.platform.database import Transaction
from tests.kits.enrollment_rows import NOW, Rows

LATER = NOW + timedelta(days=2)

Write = Callable[[Transaction, UUID], Awaitable[object]]


def start(tx: Transaction, one: UUID) -> Awaitable[object]:
    return tx.execute(text(enrollments.START), {"enrollment_id": one})


TRANSITIONS: dict[str, Write] = {
    "start": start,
    "record_sent": lambda tx, one: enrollments.record_sent(
        tx, one, 1, 1, NextEvent(2, LATER, LATER), at=NOW, signal="delivery_reported"
    ),
    "retry_step": lambda tx, one: enrollments.retry_step(
        tx, one, 1, LATER, at=NOW, signal="delivery_reported"
    ),
    "hold_step": lambda tx, one: enrollments.hold_step(
        tx, one, 1, HeldReason.OUTCOME_UNKNOWN, None, at=NOW, signal="delivery_reported"
    ),
    "schedule": lambda tx, one: enrollments.schedule(tx, one, LATER),
    "await_reply": enrollments.await_reply,
    "set_reply_window": lambda tx, one: enrollments.set_reply_window(tx, [one]),
    "reschedule": lambda tx, one: enrollments.reschedule(tx, [RescheduledStep(one, LATER, LATER)]),
    "pause": lambda tx, one: pauses.pause(tx, [one], uuid4()),
    "resume": lambda tx, one: pauses.resume(tx, [RescheduledStep(one, LATER, LATER)], uuid4()),
    "wait_for_sequence": lambda tx, one: enrollments.wait_for_sequence(tx, one, at=NOW),
    "hold": lambda tx, one: enrollments.hold(tx, one, HeldReason.SENDER_ON_HOLD, at=NOW),
    "hold_restored": lambda tx, one: enrollments.hold_restored(tx, one, ["SM1"], at=NOW),
    "release": lambda tx, one: enrollments.release(tx, one, probing=True),
    "record_replies": lambda tx, one: replies.record_replies(tx, {one: NOW}),
    "pause_for_replies": lambda tx, one: replies.pause_for_replies(tx, {one: NOW}),
    "record_late": lambda tx, one: replies.record_late(tx, {one: NOW}),
    "change": lambda tx, one: variables.change(tx, one, {"job": "Cook"}),
    "end": lambda tx, one: enrollments.end(
        tx, [one], EnrollmentStatus.FINISHED_STOPPED, signal="mark_finished"
    ),
}


async def test_final_enrollment_never_changes(world: Rows) -> None:
    one = await world.ended()
    before = await world.everything()

    for name, write in TRANSITIONS.items():
        await world.write(write, one)

        assert await world.everything() == before, name


# Starting


async def test_enrolled_contact_waits_and_its_workflow_is_started(world: Rows) -> None:
    [one] = await world.enroll(EnrollmentStatus.ACTIVE)

    row = await world.row(one)
    assert (row.status, row.activity, row.position, row.step) == ("active", "waiting", 1, 0)
    assert row.next_send_at == NOW
    assert await world.events(one) == ["enrollment.created"]
    started = await world.rows("SELECT subject_id FROM outbox WHERE kind = 'start_enrollment'")
    assert [row.subject_id for row in started] == [one]


async def test_row_born_final_has_ended_and_starts_nothing(world: Rows) -> None:
    [one] = await world.enroll(EnrollmentStatus.OMITTED_LANDLINE)

    row = await world.row(one)
    assert (row.status, row.activity) == ("omitted_landline", None)
    assert row.ended_at == row.enrolled_at
    assert await world.events(one) == ["enrollment.created", "enrollment.finished"]
    assert await world.rows("SELECT 1 FROM outbox WHERE kind = 'start_enrollment'") == []


async def test_active_contact_is_not_enrolled_again(world: Rows) -> None:
    [contact_id] = await world.contacts(1)
    [first] = await world.enroll(EnrollmentStatus.ACTIVE, contact_ids=[contact_id])

    assert await world.enroll(EnrollmentStatus.ACTIVE, contact_ids=[contact_id]) == []

    await world.write(enrollments.end, [first], EnrollmentStatus.FAILED, signal=None)
    assert len(await world.enroll(EnrollmentStatus.ACTIVE, contact_ids=[contact_id])) == 1


# Sending


async def test_started_text_leaves_the_moment_it_was_due(world: Rows) -> None:
    one = await world.active(probing=True)

    await world.write(start, one)

    row = await world.row(one)
    assert (row.activity, row.probing, row.next_send_at) == ("sending", False, NOW)


async def test_sent_step_is_followed_by_the_next(world: Rows) -> None:
    one = await world.active(activity="sending")

    assert await world.write(TRANSITIONS["record_sent"], one)

    row = await world.row(one)
    assert (row.activity, row.step, row.position) == ("waiting", 1, 2)
    assert (row.due_at, row.next_send_at, row.reply_until) == (LATER, LATER, None)
    assert (row.last_sent_at, row.last_message_at) == (NOW, NOW)
    assert await world.signals(one) == [("delivery_reported", None)]


async def test_last_step_sent_is_followed_by_the_reply_window(world: Rows) -> None:
    one = await world.active(activity="sending", position=3)

    following = NextEvent(4, reply_until=LATER)
    assert await world.write(enrollments.record_sent, one, 3, 1, following, at=NOW, signal=None)

    row = await world.row(one)
    assert (row.activity, row.step, row.position) == ("awaiting_reply", 3, 4)
    assert (row.next_send_at, row.reply_until) == (None, LATER)
    assert await world.signals(one) == []


async def test_paused_enrollment_stays_paused_after_its_text_under_way(
    world: Rows,
) -> None:
    one = await world.active(activity="sending", paused_at=NOW)

    assert await world.write(TRANSITIONS["record_sent"], one)

    row = await world.row(one)
    assert (row.activity, row.due_at, row.next_send_at) == ("paused", LATER, None)


@pytest.mark.parametrize(("step", "number"), [(2, 1), (1, 2)])
async def test_sent_text_of_another_step_or_pass_moves_nothing(
    world: Rows, step: int, number: int
) -> None:
    one = await world.active(activity="sending")
    before = await world.everything()

    assert not await world.write(
        enrollments.record_sent,
        one,
        step,
        number,
        NextEvent(3, LATER, LATER),
        at=NOW,
        signal="delivery_reported",
    )

    assert await world.everything() == before


async def test_text_is_recorded_in_any_status_and_never_lowers_the_step(
    world: Rows,
) -> None:
    one = await world.ended()
    await world.set(one, step=2, last_message_at=NOW)

    await world.write(enrollments.record_text, one, 0, at=LATER)
    row = await world.row(one)
    assert (row.step, row.last_message_at) == (2, LATER)

    await world.write(enrollments.record_text, one, 3, at=NOW)
    row = await world.row(one)
    assert (row.step, row.last_message_at) == (3, LATER)


async def test_last_step_is_recounted_from_sent_texts(world: Rows) -> None:
    one = await world.active(step=3)
    await world.texted(one, step=1)
    await world.texted(one, step=2, outcome="refused")

    assert await world.write(enrollments.recount_steps, one) == 1
    assert (await world.row(one)).step == 1


async def test_undelivered_text_counts_again_once_its_recipient_texts(
    world: Rows,
) -> None:
    one, other = await world.active(step=0), await world.active(step=3)
    for each in (one, other):
        await world.texted(each, status="undelivered")
    await world.run("UPDATE attempts SET reported_failed = true")
    [phone] = (await world.rows("SELECT phone FROM messages WHERE enrollment_id = :id", id=one))[0]
    await world.run(
        "INSERT INTO messages (id, direction, phone, body, status, occurred_at)"
        " VALUES (gen_random_uuid(), 'inbound', :phone, 'Yes', 'received', :at)",
        phone=phone,
        at=LATER,
    )

    await world.write(replies.recount_steps_of, [phone])

    assert (await world.row(one)).step == 1
    assert (await world.row(other)).step == 3


async def test_retried_step_is_scheduled_again_and_never_a_later_one(world: Rows) -> None:
    one = await world.active(position=4, activity="awaiting_reply", reply_until=LATER)
    await world.texted(one, step=1)

    assert await world.write(
        enrollments.retry_step, one, 2, LATER, at=NOW, signal="delivery_reported"
    )
    row = await world.row(one)
    assert (row.activity, row.position, row.reply_until) == ("waiting", 2, None)
    assert (row.due_at, row.next_send_at, row.last_sent_at) == (NOW, LATER, NOW)
    assert await world.signals(one) == [("delivery_reported", None)]

    await world.write(enrollments.retry_step, one, 3, LATER, at=NOW, signal=None)
    assert (await world.row(one)).position == 2


async def test_held_step_writes_an_event_and_a_timeline_entry(world: Rows) -> None:
    one = await world.active(activity="sending")

    assert await world.write(
        enrollments.hold_step,
        one,
        1,
        HeldReason.DESTINATION_NOT_ALLOWED,
        21408,
        at=NOW,
        signal=None,
    )

    row = await world.row(one)
    assert (row.activity, row.held_reason) == ("held", "destination_not_allowed")
    assert (row.held_code, row.next_send_at) == (21408, None)
    assert await world.notes(one) == [
        ("blocked", {"because": "destination_not_allowed", "code": 21408})
    ]
    assert await world.events(one) == ["enrollment.created", "enrollment.held"]


# Waiting


async def test_scheduled_enrollment_leaves_its_hold(world: Rows) -> None:
    one = await world.active()
    await world.hold(one, HeldReason.SENDER_ON_HOLD, 30034)

    await world.write(enrollments.schedule, one, LATER, probing=True)

    row = await world.row(one)
    assert (row.activity, row.held_reason, row.held_code) == ("waiting", None, None)
    assert (row.next_send_at, row.probing) == (LATER, True)


async def test_enrollment_awaiting_a_reply_has_nothing_to_send(world: Rows) -> None:
    one = await world.active(position=4, probing=True)

    await world.write(enrollments.await_reply, one)

    row = await world.row(one)
    assert (row.activity, row.next_send_at, row.probing) == ("awaiting_reply", None, False)


async def test_reply_window_applies_to_those_awaiting_a_reply_alone(world: Rows) -> None:
    waiting = await world.active(last_sent_at=NOW)
    awaiting = await world.active(last_sent_at=NOW, activity="awaiting_reply", reply_until=LATER)
    await world.run("UPDATE sequences SET reply_window_seconds = 60")

    both = [waiting, awaiting]
    assert await world.write(enrollments.set_reply_window, both) == 1
    assert await world.write(enrollments.set_reply_window, both) == 0

    assert (await world.row(awaiting)).reply_until == NOW + timedelta(minutes=1)
    assert (await world.row(waiting)).reply_until is None
    assert await world.signals(awaiting) == [("reconsider", None)]
    assert await world.signals(waiting) == []


async def test_only_steps_that_wait_are_rescheduled(world: Rows) -> None:
    waiting, sending = await world.active(), await world.active(activity="sending")

    await world.write(
        enrollments.reschedule, [RescheduledStep(one, LATER, LATER) for one in (waiting, sending)]
    )

    assert (await world.row(waiting)).due_at == LATER
    assert (await world.row(sending)).due_at == NOW
    assert await world.signals(waiting) == [("reconsider", None)]
    assert await world.signals(sending) == []


# Paused by a person


async def test_blocked_enrollment_is_noted_once(world: Rows) -> None:
    one = await world.active()

    for _ in range(2):
        await world.write(enrollments.wait_for_sequence, one, at=NOW)
    assert (await world.row(one)).activity == "paused"
    for _ in range(2):
        await world.write(enrollments.hold, one, HeldReason.SENDER_ON_HOLD, at=NOW)

    row = await world.row(one)
    assert (row.activity, row.held_reason, row.next_send_at) == ("held", "sender_on_hold", None)
    assert await world.notes(one) == [
        ("blocked", {"because": "paused"}),
        ("blocked", {"because": "sender_on_hold"}),
    ]
    assert await world.events(one) == ["enrollment.created", "enrollment.held"]


async def test_hold_for_the_same_reason_keeps_the_code(world: Rows) -> None:
    one = await world.active()
    await world.hold(one, HeldReason.DESTINATION_NOT_ALLOWED, 21408)

    await world.write(enrollments.hold, one, HeldReason.DESTINATION_NOT_ALLOWED, at=NOW)
    assert (await world.row(one)).held_code == 21408
    assert await world.notes(one) == []

    await world.write(enrollments.hold, one, HeldReason.SENDER_ON_HOLD, at=NOW)
    assert (await world.row(one)).held_code is None


async def test_restored_enrollment_is_held_with_the_texts_it_may_have_sent(
    world: Rows,
) -> None:
    one = await world.active()

    await world.write(TRANSITIONS["hold_restored"], one)

    row = await world.row(one)
    assert (row.activity, row.held_reason) == ("held", "outcome_unknown")
    assert await world.notes(one) == [("reconciled", {"sids": ["SM1"]})]
    assert await world.events(one) == ["enrollment.created", "enrollment.held"]


async def test_release_affects_the_held_and_those_of_a_paused_sequence(
    world: Rows,
) -> None:
    held, for_sequence = await world.active(), await world.active(activity="paused")
    by_person = await world.active(activity="paused", paused_at=NOW)
    waiting = await world.active()
    await world.hold(held, HeldReason.SENDER_ON_HOLD, 30034)

    released = [
        await world.write(enrollments.release, one, probing=True)
        for one in (held, for_sequence, by_person, waiting)
    ]

    assert released == [True, True, False, False]
    row = await world.row(held)
    assert (row.activity, row.held_reason, row.held_code) == ("waiting", None, None)
    assert row.probing
    assert row.next_send_at > NOW
    assert await world.signals(held) == [("reconsider", None)]
    assert await world.signals(by_person) == []
    assert not (await world.row(waiting)).probing
    told = [await world.events(one) for one in (held, for_sequence)]
    assert [one.count("enrollment.released") for one in told] == [1, 0]


async def test_next_page_releases_only_unblocked_enrollments(world: Rows) -> None:
    blocked = sorted([await world.active() for _ in range(3)])
    for one in blocked:
        await world.hold(one, HeldReason.SENDER_ON_HOLD)
    unknown = await world.active()
    await world.hold(unknown, HeldReason.OUTCOME_UNKNOWN)
    by_person = await world.active(activity="paused", paused_at=NOW)
    sequence_id = (await world.row(unknown)).sequence_id

    async def page(after: str | None, limit: int) -> list[UUID]:
        return await world.write(enrollments.release_next, sequence_id, after=after, limit=limit)

    await world.run("UPDATE senders SET held_at = now(), next_probe_at = now()")
    assert await page(None, 10) == []

    await world.run("UPDATE senders SET held_at = NULL, next_probe_at = NULL")
    assert await page(None, 2) == blocked[:2]
    assert await page(str(blocked[1]), 2) == blocked[2:]
    assert [(await world.row(one)).activity for one in blocked] == ["waiting"] * 3
    assert (await world.row(unknown)).activity == "held"
    assert (await world.row(by_person)).activity == "paused"
    told = [await world.events(one) for one in (*blocked, unknown, by_person)]
    assert [one.count("enrollment.released") for one in told] == [1, 1, 1, 0, 0]


async def test_whatever_ends_a_hold_releases_once(world: Rows) -> None:
    going, awaiting, for_sequence, sent, again = [await world.active() for _ in range(5)]
    by_hand, replied, undecided = [await world.active() for _ in range(3)]
    for one in (going, awaiting, for_sequence, sent, again, undecided):
        await world.hold(one, HeldReason.OUTCOME_UNKNOWN)
    await world.hold(by_hand, HeldReason.MISSING_DATA)
    await world.hold(replied, HeldReason.SENDER_ON_HOLD)
    following = NextEvent(2, LATER, LATER)

    await world.write(enrollments.schedule, going, LATER)
    await world.write(enrollments.schedule, going, LATER)
    await world.write(enrollments.await_reply, awaiting)
    await world.write(enrollments.wait_for_sequence, for_sequence, at=NOW)
    await world.write(enrollments.record_sent, sent, 1, 1, following, at=NOW, signal=None)
    await world.write(enrollments.retry_step, again, 1, LATER, at=NOW, signal=None)
    await world.write(pauses.pause, [by_hand, undecided], world.user_id)
    await world.write(replies.pause_for_replies, {replied: NOW})

    rows = await world.rows(
        "SELECT subject_id, data FROM events WHERE type = 'enrollment.released' ORDER BY id"
    )
    assert [(row.subject_id, row.data["reason"]) for row in rows] == [
        *((one, "outcome_unknown") for one in (going, awaiting, for_sequence, sent, again)),
        (by_hand, "missing_data"),
        (replied, "sender_on_hold"),
    ]
    assert all(row.data["paused_at"] is not None for row in rows[-2:])


# Texted by the contact


async def test_inbound_text_is_recorded_for_the_active_enrollments_of_its_number(
    world: Rows,
) -> None:
    active, other, final = await world.active(), await world.active(), await world.ended()
    [row] = await world.rows(
        "SELECT c.phone FROM contacts c JOIN enrollments e ON e.contact_id = c.id WHERE e.id = :id",
        id=active,
    )
    await world.set(final, contact_id=(await world.row(active)).contact_id)

    for at in (LATER, NOW):
        await world.run(replies.RECORD_INBOUND, phones=[row.phone], moments=[at])

    moments = [(await world.row(one)).last_message_at for one in (active, other, final)]
    assert moments == [LATER, None, None]


async def test_first_reply_is_the_one_remembered(world: Rows) -> None:
    one = await world.active()

    for at in (NOW, LATER):
        await world.write(replies.record_replies, {one: at})

    assert (await world.row(one)).replied_at == NOW


# Ending


async def test_end_of_several_signals_each(world: Rows) -> None:
    one, other, final = await world.active(), await world.active(), await world.ended()
    await world.hold(other, HeldReason.SENDER_ON_HOLD, 30034)
    await world.set(one, paused_at=NOW, probing=True)
    stopped = EnrollmentStatus.FINISHED_STOPPED

    ended = await world.write(
        enrollments.end, [one, final, other], stopped, signal="mark_finished", user_id=world.user_id
    )

    assert ended == {one: stopped, other: stopped}
    for each in (one, other):
        row = await world.row(each)
        assert (row.status, row.activity, row.next_send_at) == ("finished_stopped", None, None)
        assert (row.held_reason, row.held_code, row.paused_at) == (None, None, None)
        assert (row.probing, row.ended_by) == (False, world.user_id)
        assert row.ended_at is not None
        assert await world.signals(each) == [("mark_finished", "finished_stopped")]
        assert await world.events(each) == ["enrollment.created", "enrollment.finished"]
    assert (await world.row(final)).status == "failed"
    assert await world.signals(final) == []


async def test_opt_out_omits_where_nothing_was_sent(world: Rows) -> None:
    sent, refused, fresh = [await world.active() for _ in range(3)]
    await world.texted(sent)
    await world.texted(refused, outcome="refused")
    everyone = [sent, refused, fresh]

    ended = await world.write(
        enrollments.end, everyone, EnrollmentStatus.OPTED_OUT, signal="opted_out", error_code=21610
    )

    statuses = ["opted_out", "omitted_opted_out", "omitted_opted_out"]
    assert [ended[one] for one in everyone] == statuses
    assert [(await world.row(one)).status for one in everyone] == statuses
    assert [await world.signals(one) for one in everyone] == [
        [("opted_out", status)] for status in statuses
    ]
    assert [(await world.row(one)).error_code for one in everyone] == [21610] * 3


async def test_landline_fails_where_something_was_delivered(world: Rows) -> None:
    delivered, sent = await world.active(), await world.active()
    await world.texted(delivered, status="delivered")
    await world.texted(sent)

    ended = await world.write(
        enrollments.end, [delivered, sent], EnrollmentStatus.OMITTED_LANDLINE, signal=None
    )

    assert ended == {
        delivered: EnrollmentStatus.FAILED,
        sent: EnrollmentStatus.OMITTED_LANDLINE,
    }


async def test_end_keeps_the_first_reply(world: Rows) -> None:
    before, now = await world.active(replied_at=NOW), await world.active()
    responded = EnrollmentStatus.FINISHED_RESPONDED

    endings = [Ending(one, responded, "reply_received", LATER) for one in (before, now)]
    await world.write(enrollments.end_each, endings)

    assert [(await world.row(one)).replied_at for one in (before, now)] == [NOW, LATER]


async def test_erased_enrollments_leave_no_timeline(world: Rows) -> None:
    one, other = await world.active(), await world.active()
    await world.write(pauses.pause, [one, other], world.user_id)

    await world.write(enrollments.erase, [one])

    assert await world.rows("SELECT 1 FROM enrollments WHERE id = :id", id=one) == []
    assert await world.notes(one) == []
    assert await world.notes(other) == [("paused", {})]
