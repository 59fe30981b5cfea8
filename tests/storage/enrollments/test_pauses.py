"""Pausing single enrollments: what it changes, and what it leaves."""

from datetime import timedelta

from domain.statuses.enrollments import HeldReason
from storage.enrollments import pauses
from storage.enrollments.waiting_steps import RescheduledStep
from tests.kits.enrollment_rows import NOW, Rows

LATER = NOW + timedelta(days=2)


async def test_pause_keeps_texts_under_way_and_holds_for_a_person(
    world: Rows,
) -> None:
    waiting, sending = await world.active(), await world.active(activity="sending")
    unknown, for_sender = await world.active(), await world.active()
    await world.hold(unknown, HeldReason.OUTCOME_UNKNOWN)
    await world.hold(for_sender, HeldReason.SENDER_ON_HOLD, 30034)
    everyone = [waiting, sending, unknown, for_sender]

    await world.write(pauses.pause, everyone, world.user_id)

    rows = [await world.row(one) for one in everyone]
    assert [row.activity for row in rows] == ["paused", "sending", "held", "paused"]
    assert [row.held_reason for row in rows] == [None, None, "outcome_unknown", None]
    assert [row.next_send_at for row in rows] == [None, NOW, None, None]
    assert None not in [row.paused_at for row in rows]
    for one in everyone:
        assert await world.notes(one) == [("paused", {})]


async def test_pause_skips_those_paused_already_and_those_with_nothing_to_send(
    world: Rows,
) -> None:
    paused = await world.active(paused_at=NOW, activity="paused")
    all_sent = await world.active(position=4, activity="awaiting_reply")
    before = await world.everything()

    await world.write(pauses.pause, [paused, all_sent], world.user_id)

    assert await world.everything() == before


async def test_resume_leaves_texts_under_way_and_holds(world: Rows) -> None:
    paused = await world.active(paused_at=NOW, activity="paused", next_send_at=None)
    sending = await world.active(paused_at=NOW, activity="sending")
    held = await world.active(paused_at=NOW)
    await world.hold(held, HeldReason.OUTCOME_UNKNOWN)
    everyone = [paused, sending, held]

    await world.write(
        pauses.resume, [RescheduledStep(one, LATER, LATER) for one in everyone], world.user_id
    )

    rows = [await world.row(one) for one in everyone]
    assert [row.paused_at for row in rows] == [None] * 3
    assert [row.activity for row in rows] == ["waiting", "sending", "held"]
    assert [row.next_send_at for row in rows] == [LATER, NOW, None]
    for one in everyone:
        assert await world.notes(one) == [("resumed", {})]
        assert await world.signals(one) == [("reconsider", None)]


async def test_resume_affects_only_those_a_person_paused(world: Rows) -> None:
    one = await world.active(activity="paused", next_send_at=None)
    before = await world.everything()

    await world.write(pauses.resume, [RescheduledStep(one, LATER, LATER)], world.user_id)

    assert await world.everything() == before


# Blocked
