"""Senders on hold, their probes, and what a person releases.

The rules: docs/design.md, "Provider answers".
"""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import Need
from services.messaging.holds import Decision
from tests.kits.sender_holds import FIRST_PROBE, PROBE, WRONG_PASSWORD, three_waiting
from tests.kits.sending import SendingKit, about
from tests.worlds import ongoing


async def hold_by_report(kit: SendingKit) -> UUID:
    """Put the sender on hold by a delivery report; return the enrollment it was about."""
    enrollment = await kit.enroll(await kit.sequence(steps=[ongoing("One", 0), ongoing("Two", 0)]))
    await kit.send(enrollment)
    await kit.report((await kit.attempts(enrollment))[0], "undelivered", 30034)
    return enrollment


async def woken(kit: SendingKit, everyone: list[UUID]) -> list[UUID]:
    """List the enrollments that are no longer held."""
    return [one for one in everyone if (await kit.row(one)).activity != "held"]


async def test_other_texts_of_a_sender_on_hold_wait_without_a_call(kit: SendingKit) -> None:
    """Other texts of a sender on hold wait without calling."""
    everyone = await three_waiting(kit)
    assert len(kit.gateway.calls) == 1
    for enrollment in everyone:
        row = await kit.row(enrollment)
        assert (row.status, row.activity, row.held_reason) == ("active", "held", "sender_on_hold")
        assert row.next_send_at is None
    assert [(await kit.row(one)).held_code for one in everyone] == [20003, None, None]
    sender = await kit.sender()
    assert (sender.hold_code, sender.hold_from_report) == (20003, False)
    assert about(sender.next_probe_at, FIRST_PROBE)


async def test_texts_of_another_sender_go_on(kit: SendingKit) -> None:
    """Only the sender's own texts wait."""
    await three_waiting(kit)
    other = await kit.world.sender(uuid4(), "+14155550199")
    await kit.send(await kit.enroll(await kit.sequence(sender_id=other)))


async def test_one_probe_in_every_interval(kit: SendingKit) -> None:
    """A sender on hold is probed once every 5 minutes."""
    everyone = await three_waiting(kit)
    assert (await kit.services.sweep.sweep()).probes == 0
    for number in range(2, 5):
        await kit.pass_time(PROBE)
        assert (await kit.services.sweep.sweep()).probes == 1
        assert (await kit.services.sweep.sweep()).probes == 0
        [probe] = await woken(kit, everyone)
        await kit.answers(probe, WRONG_PASSWORD)
        for enrollment in everyone:
            await kit.run_step(enrollment)
        assert len(kit.gateway.calls) == number
        assert await woken(kit, everyone) == []
        assert (await kit.sender()).held_at is not None


async def test_enrollment_that_found_the_sender_broken_probes_it_soon(kit: SendingKit) -> None:
    """Probed after 10 s, 30 s, 1, 2, then every 5 minutes."""
    everyone = await three_waiting(kit)
    [first] = [one for one in everyone if await kit.outcomes(one)]
    waits = []
    for _ in range(6):
        sender = await kit.sender()
        waits.append(round((sender.next_probe_at - datetime.now(UTC)).total_seconds() / 10) * 10)
        early = await kit.run_step(first)
        assert isinstance(early, EnrollmentState)
        assert (early.doing, early.due_at) == ("held", None), "it is not time yet"
        await kit.pass_time(sender.next_probe_at - datetime.now(UTC))
        await kit.answers(first, WRONG_PASSWORD)
        again = await kit.run_step(first)
        assert isinstance(again, EnrollmentState)
        assert again.doing == "held"
        assert again.due_at is not None
        assert again.due_at > (await kit.sender()).next_probe_at
    assert waits == [10, 30, 60, 120, 300, 300]
    await kit.pass_time(PROBE)
    await kit.send(first)
    assert (await kit.sender()).held_at is None


async def test_one_of_all_due_texts_probes_the_sender(kit: SendingKit) -> None:
    """One probe at a time."""
    everyone = await three_waiting(kit)
    kit.gateway.always(WRONG_PASSWORD)
    calls = len(kit.gateway.calls)
    await kit.pass_time(FIRST_PROBE)
    decisions = await asyncio.gather(*(kit.services.sending.decide_step(one) for one in everyone))
    assert [one.needs for one in decisions if isinstance(one, EnrollmentState)].count(
        Need.SEND
    ) == 1
    assert len(await woken(kit, everyone)) == 1
    for enrollment in everyone:
        await kit.run_step(enrollment)
    assert len(kit.gateway.calls) == calls + 1


async def test_successful_probe_ends_the_hold(kit: SendingKit) -> None:
    """A probe that works proves that the sender works again."""
    everyone = await three_waiting(kit)
    await kit.pass_time(PROBE)
    await kit.services.sweep.sweep()
    [probe] = await woken(kit, everyone)
    await kit.send(probe)
    sender = await kit.sender()
    assert (sender.held_at, sender.next_probe_at, sender.hold_code) == (None, None, None)
    assert await kit.services.waking.wake() == 2
    await kit.services.outbox.drain()
    for enrollment in everyone:
        if enrollment != probe:
            assert kit.temporal.signals_to(enrollment) == [("reconsider", None)]
            await kit.send(enrollment)


async def test_a_text_that_was_under_way_does_not_lift_the_hold(kit: SendingKit) -> None:
    """Only a text begun after the hold proves anything."""
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    answer = await kit.gateway.create(call)
    everyone = await three_waiting(kit)
    await kit.services.sending.record_answer(call.attempt_id, answer)
    assert (await kit.sender()).held_at is not None
    assert await woken(kit, everyone) == []


async def test_a_probe_waits_for_its_own_time(kit: SendingKit) -> None:
    """A probe is a text like any other: no window, no probe."""
    everyone = await three_waiting(kit)
    await kit.world.run("UPDATE sequences SET state = 'paused'")
    await kit.pass_time(PROBE)
    assert (await kit.services.sweep.sweep()).probes == 0
    assert await woken(kit, everyone) == []


async def test_probe_is_an_enrollment_whose_window_is_open(kit: SendingKit) -> None:
    """A probe outside the send window would be wasted, and five minutes with it."""
    everyone = await three_waiting(kit)
    awake = await kit.enroll()
    await kit.run_step(awake)
    in_three_days = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
    await kit.world.run(
        "UPDATE sequences SET send_window = CAST(:window AS jsonb)"
        " WHERE id = (SELECT sequence_id FROM enrollments WHERE id = :id)",
        window=json.dumps({in_three_days: ["10:00", "11:00"]}),
        id=everyone[0],
    )
    await kit.pass_time(PROBE)
    assert (await kit.services.sweep.sweep()).probes == 1
    assert await woken(kit, [*everyone, awake]) == [awake]
    await kit.services.finishing.mark_finished([awake], kit.world.user_id)
    await kit.pass_time(PROBE)
    assert (await kit.services.sweep.sweep()).probes == 0
    assert await woken(kit, everyone) == []
    assert about((await kit.sender()).next_probe_at, PROBE)


@pytest.mark.parametrize("words", [["queued"], ["queued", "sent"]])
async def test_a_hold_from_a_report_outlasts_acceptance(kit: SendingKit, words: list[str]) -> None:
    """A text that was accepted may still fail because of its sender."""
    enrollment = await hold_by_report(kit)
    other = await kit.enroll()
    await kit.run_step(other)
    await kit.pass_time(PROBE)
    await kit.services.sweep.sweep()
    [probe] = await woken(kit, [enrollment, other])
    await kit.send(probe)
    attempt = (await kit.attempts(probe))[-1]
    for word in words:
        await kit.report(attempt, word)
    sender = await kit.sender()
    assert (sender.held_at is not None, sender.hold_from_report) == (True, True)
    await kit.report(attempt, "undelivered", 30034)
    assert await woken(kit, [enrollment, other]) == []
    assert about((await kit.sender()).next_probe_at, PROBE)


async def test_late_report_on_a_failed_text_ends_no_hold(kit: SendingKit) -> None:
    """Reports come out of order: ``sent`` after ``undelivered``."""
    enrollment = await hold_by_report(kit)
    await kit.pass_time(PROBE)
    await kit.services.sweep.sweep()
    await kit.send(enrollment)
    attempt = (await kit.attempts(enrollment))[-1]
    await kit.report(attempt, "undelivered", 30034)
    await kit.report(attempt, "sent")
    assert (await kit.sender()).held_at is not None
    assert (await kit.row(enrollment)).held_reason == "sender_on_hold"


async def test_a_delivery_lifts_a_hold_from_a_report(kit: SendingKit) -> None:
    """A later text that goes out proves that the sender works again."""
    enrollment = await hold_by_report(kit)
    other = await kit.enroll()
    await kit.run_step(other)
    await kit.pass_time(PROBE)
    await kit.services.sweep.sweep()
    [probe] = await woken(kit, [enrollment, other])
    await kit.send(probe)
    await kit.report((await kit.attempts(probe))[-1], "delivered")
    assert (await kit.sender()).held_at is None
    await kit.services.waking.wake()
    assert len(await woken(kit, [enrollment, other])) == 2


async def test_a_report_makes_a_hold_last(kit: SendingKit) -> None:
    """With both kinds of fault at once the first reason stands."""
    late = await kit.enroll()
    await kit.send(late)
    await three_waiting(kit)
    await kit.report((await kit.attempts(late))[0], "undelivered", 30034)
    sender = await kit.sender()
    assert (sender.hold_code, sender.hold_from_report) == (20003, True)


async def test_releasing_a_sender_wakes_all_its_enrollments(kit: SendingKit) -> None:
    everyone = await three_waiting(kit)
    assert await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id) == 3
    for enrollment in everyone:
        await kit.send(enrollment)
    assert await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id) == 0


# Releasing enrollments


async def lose(kit: SendingKit) -> UUID:
    """An enrollment held because the outcome of its first text is unknown."""
    enrollment = await kit.enroll()
    kit.gateway.lose(to=await kit.phone(enrollment), creates=True)
    await kit.run_step(enrollment)
    kit.gateway.lists_fail = True
    await kit.pass_time(timedelta(minutes=61))
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.held_reason == "outcome_unknown"
    return enrollment


async def release(kit: SendingKit, enrollment: UUID, decision: str) -> Any:
    [released] = await kit.services.holds.release([enrollment], decision, kit.world.user_id)
    return released


async def test_retry_sends_an_unknown_text_again(kit: SendingKit) -> None:
    """A person says ``retry``: it is attempted again."""
    enrollment = await lose(kit)
    assert (await release(kit, enrollment, "retry")).result == "released"
    assert await kit.pending_signals(enrollment) == ["reconsider"]
    await kit.send(enrollment)
    assert await kit.outcomes(enrollment) == ["written_off", "accepted"]
    assert len(kit.gateway.calls) == 2
    [event] = await kit.world.rows("SELECT * FROM enrollment_events WHERE kind = 'released'")
    assert (event.user_id, event.detail) == (kit.world.user_id, {"decision": "retry"})


async def test_treat_as_sent_counts_the_next_delay_from_the_attempt(kit: SendingKit) -> None:
    """A person says ``treat_as_sent``: the next delay counts from then."""
    enrollment = await lose(kit)
    assert (await release(kit, enrollment, "treat_as_sent")).result == "released"
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.step) == ("waiting", 1)
    assert about(state.due_at, timedelta(days=1) - timedelta(minutes=61))
    assert await kit.outcomes(enrollment) == ["assumed_sent"]
    await kit.report((await kit.attempts(enrollment))[0], "delivered", by_sid=False)
    [attempt] = await kit.attempts(enrollment)
    assert (attempt.outcome, attempt.provider_status) == ("accepted", "delivered")
    assert (await kit.row(enrollment)).position == 2
    assert len(kit.gateway.calls) == 1


async def test_treating_the_last_text_as_sent_awaits_the_reply(kit: SendingKit) -> None:
    """A person says ``treat_as_sent`` of the last step: the reply window begins."""
    enrollment = await lose(kit)
    await kit.world.run("UPDATE enrollments SET step_count = 1")
    await release(kit, enrollment, "treat_as_sent")
    assert (await kit.row(enrollment)).activity == "awaiting_reply"


async def test_finish_of_an_unknown_text_reports_the_last_text(kit: SendingKit) -> None:
    """A person says ``finish``: the answer has ``last_text``."""
    enrollment = await lose(kit)
    released = await release(kit, enrollment, "finish")
    assert (released.result, released.last_text) == ("finished", "unknown")
    assert (await kit.row(enrollment)).status == "finished_stopped"
    assert (await release(kit, enrollment, "retry")).result == "already_final"


async def test_late_proof_releases_a_held_enrollment(kit: SendingKit) -> None:
    """A callback with the attempt's id is proof, also after the give-up."""
    enrollment = await lose(kit)
    await kit.report((await kit.attempts(enrollment))[0], "delivered", by_sid=False)
    row = await kit.row(enrollment)
    assert (row.activity, row.held_reason, row.position) == ("waiting", None, 2)
    assert await kit.pending_signals(enrollment) == ["delivery_reported"]


async def test_proof_after_a_retry_cancels_the_resend(kit: SendingKit) -> None:
    """The late proof is of an attempt that a person wrote off."""
    enrollment = await lose(kit)
    await release(kit, enrollment, "retry")
    await kit.report((await kit.attempts(enrollment))[0], "delivered", by_sid=False)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.step, len(kit.gateway.calls)) == (1, 1)


async def test_retry_writes_off_no_attempt_whose_outcome_is_known(kit: SendingKit) -> None:
    """The row may say ``outcome_unknown`` of an attempt that a report has proven meanwhile."""
    enrollment = await lose(kit)
    await kit.world.run("UPDATE attempts SET outcome = 'accepted', provider_sid = 'SM1'")
    assert (await release(kit, enrollment, "treat_as_sent")).result == "outcome_known"
    assert (await release(kit, enrollment, "retry")).result == "released"
    assert await kit.outcomes(enrollment) == ["accepted"]


@pytest.mark.parametrize(("decision", "result"), [("retry", "released"), ("finish", "finished")])
async def test_release_from_destination_not_allowed(
    kit: SendingKit, decision: str, result: str
) -> None:
    enrollment = await kit.enroll()
    await kit.refuses(enrollment, 21408)
    await kit.run_step(enrollment)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.held_reason) == ("held", "destination_not_allowed")
    assert (await kit.row(enrollment)).held_code == 21408
    assert (await release(kit, enrollment, "treat_as_sent")).result == "outcome_known"
    assert (await release(kit, enrollment, decision)).result == result
    if decision == "retry":
        await kit.send(enrollment)


async def test_released_enrollment_may_probe_its_sender_once(kit: SendingKit) -> None:
    """Releasing one that waits for its sender makes it a probe."""
    everyone = await three_waiting(kit)
    await release(kit, everyone[1], "retry")
    await kit.answers(everyone[1], WRONG_PASSWORD)
    await kit.run_step(everyone[1])
    await kit.run_step(everyone[1])
    assert len(kit.gateway.calls) == 2
    assert await woken(kit, everyone) == []


async def test_enrollments_that_are_not_held_are_not_released(kit: SendingKit) -> None:
    """Each row has its own result."""
    sequence = await kit.sequence()
    waiting, paused = await kit.enroll(sequence), await kit.enroll(sequence)
    await kit.services.sequences.pause(sequence.id)
    await kit.run_step(paused)
    unknown = uuid4()
    released = await kit.services.holds.release(
        [waiting, unknown, paused], Decision.RETRY, kit.world.user_id
    )
    assert [(one.enrollment_id, one.result) for one in released] == [
        (waiting, "not_held"),
        (unknown, "not_found"),
        (paused, "not_held"),
    ]


async def test_reconsidering_changes_nothing_for_a_blocked_enrollment(kit: SendingKit) -> None:
    """Deciding again about a held or paused enrollment changes nothing."""
    everyone = await three_waiting(kit)
    before: list[datetime] = [await kit.row(one) for one in everyone]
    for enrollment in everyone:
        await kit.run_step(enrollment)
    assert [await kit.row(one) for one in everyone] == before
    events = await kit.world.rows("SELECT * FROM enrollment_events WHERE kind = 'blocked'")
    assert len(events) == 3
