"""Marking finished: the answer comes only when no text can still start.

The rules: docs/design.md, "Never twice, never after".
"""

import asyncio
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from domain.messaging.ports import Accepted, Refused, SendRequest, SendResult
from domain.platform.errors import NotFoundError
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import LastText, MessageStatus
from services.enrollments.enrolling import Enrolling
from services.enrollments.selection import EnrollmentResult
from storage.enrollments import enrollments
from storage.platform.locks import lock_numbers
from tests.kits.locks import until_done_or_blocked
from tests.kits.sending import SendingKit, until
from tests.worlds import ZONE

CALL_BEFORE, MARGIN = timedelta(milliseconds=300), timedelta(milliseconds=100)


@pytest.fixture
def kit(kit: SendingKit) -> SendingKit:
    return kit.with_rules(call_before=CALL_BEFORE, call_margin=MARGIN)


async def finish(kit: SendingKit, *enrollments: UUID) -> list[EnrollmentResult]:
    return await kit.services.finishing.mark_finished(enrollments, kit.world.user_id)


async def test_finish_ends_the_enrollment_and_signals_the_workflow(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await kit.send(enrollment)
    [result] = await finish(kit, enrollment)
    assert (result.result, result.last_text) == ("finished", LastText.NONE)
    row = await kit.row(enrollment)
    assert (row.status, row.activity, row.next_send_at) == ("finished_stopped", None, None)
    assert row.ended_by == kit.world.user_id
    await kit.services.outbox.drain()
    assert kit.temporal.signals_to(enrollment) == [("mark_finished", "finished_stopped")]
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", "finished_stopped")


async def test_results_come_in_the_order_asked(kit: SendingKit) -> None:
    """Each enrollment has its own result."""
    first, second = await kit.enroll(), await kit.enroll()
    unknown = uuid4()
    await finish(kit, second)
    results = await finish(kit, second, first, unknown, first)
    assert [(one.enrollment_id, one.result, one.last_text) for one in results] == [
        (second, "already_final", None),
        (first, "finished", LastText.NONE),
        (unknown, "not_found", None),
        (first, "finished", LastText.NONE),
    ]


async def test_unanswered_call_is_unknown_after_its_deadline(kit: SendingKit) -> None:
    """Finishing answers once ``call_before`` and a margin have passed."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    began = time.monotonic()
    [result] = await finish(kit, enrollment)
    waited = time.monotonic() - began
    assert result.last_text is LastText.UNKNOWN
    assert waited > (CALL_BEFORE + MARGIN).total_seconds() - 0.1
    [attempt] = await kit.attempts(enrollment)
    assert datetime.now(UTC) >= attempt.call_before + MARGIN


@pytest.mark.parametrize(
    ("answer", "last_text"),
    [
        (Accepted("SM1", MessageStatus.QUEUED), LastText.SENT),
        (Refused(400, 21211), LastText.NONE),
        (Refused(429, None), LastText.NONE),
    ],
)
async def test_finish_waits_for_the_answer_to_a_text_under_way(
    kit: SendingKit, answer: SendResult, last_text: LastText
) -> None:
    """Finishing answers when the open attempt is recorded."""
    kit = kit.with_rules(call_before=timedelta(seconds=20))
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    finishing = asyncio.create_task(finish(kit, enrollment))

    async def finished() -> bool:
        return bool((await kit.row(enrollment)).status == "finished_stopped")

    await until(finished)
    await asyncio.sleep(0.15)
    assert not finishing.done()
    await kit.services.sending.record_answer(call.attempt_id, answer)
    [result] = await finishing
    assert (result.result, result.last_text) == ("finished", last_text)
    assert (await kit.row(enrollment)).status == "finished_stopped"


async def test_unknown_outcome_is_answered_at_once(kit: SendingKit) -> None:
    """The answer says that the last text's outcome is unknown."""
    enrollment = await kit.enroll()
    kit.gateway.lose(to=await kit.phone(enrollment), creates=True)
    await kit.run_step(enrollment)
    [result] = await finish(kit, enrollment)
    assert result.last_text is LastText.UNKNOWN


async def test_finish_before_the_attempt_prevents_it(kit: SendingKit) -> None:
    """No attempt is committed after a finish."""
    enrollment = await kit.enroll()
    async with kit.world.database.transaction() as tx:
        status = EnrollmentStatus.FINISHED_STOPPED
        await enrollments.end(tx, [enrollment], status, signal=None)
        asking = asyncio.create_task(kit.services.sending.open_step(enrollment))
        await asyncio.sleep(0.1)
        assert not asking.done()
    next_action = await asking
    assert isinstance(next_action, EnrollmentState)
    assert (next_action.doing, next_action.status) == ("ended", "finished_stopped")
    assert await kit.attempts(enrollment) == []


async def test_finish_after_the_attempt_waits_for_it(kit: SendingKit) -> None:
    """The attempt was committed first, so the finish waits for its answer."""
    enrollment = await kit.enroll()
    phone = await kit.phone(enrollment)
    async with kit.world.database.transaction() as tx:
        await lock_numbers(tx, [phone])
        asking = asyncio.create_task(kit.services.sending.open_step(enrollment))
        await asyncio.sleep(0.05)
    finishing = asyncio.create_task(finish(kit, enrollment))
    next_action = await asking
    [result] = await finishing
    assert isinstance(next_action, SendRequest) == (result.last_text is LastText.UNKNOWN)


async def test_finish_reports_the_last_text_in_any_interleaving(kit: SendingKit) -> None:
    """A finish meets an attempt and its answer in 30 interleavings."""
    kit = kit.with_rules(call_before=timedelta(seconds=20))
    rng = random.Random(20261122)
    enrollments = await kit.enroll_many(30)
    slots = asyncio.Semaphore(6)

    async def attempt(enrollment: UUID, pause: float, think: float) -> str | None:
        await asyncio.sleep(pause)
        next_action = await kit.services.sending.open_step(enrollment)
        if not isinstance(next_action, SendRequest):
            assert isinstance(next_action, EnrollmentState)
            return None
        await asyncio.sleep(think)
        answer = Accepted(f"SM{enrollment.hex}", MessageStatus.QUEUED)
        recorded = await kit.services.sending.record_answer(next_action.attempt_id, answer)
        assert isinstance(recorded, EnrollmentState)
        return recorded.status

    async def race(enrollment: UUID) -> str:
        pause, think = rng.random() / 50, rng.choice([0, 0, 0.005, 0.02])
        async with slots:
            recorded, [finished] = await asyncio.gather(
                attempt(enrollment, pause, think), _finish_after(rng.random() / 50, enrollment)
            )
        assert finished.result == "finished"
        attempts = await kit.attempts(enrollment)
        if recorded is None:
            assert (attempts, finished.last_text) == ([], LastText.NONE)
            return "finished first"
        if recorded == "active":
            assert finished.last_text is LastText.NONE
            return "recorded first"
        assert (recorded, finished.last_text) == ("finished_stopped", LastText.SENT)
        return "in between"

    async def _finish_after(pause: float, enrollment: UUID) -> list[EnrollmentResult]:
        await asyncio.sleep(pause)
        return await finish(kit, enrollment)

    seen = await asyncio.gather(*(race(enrollment) for enrollment in enrollments))
    assert len(seen) == 30
    rows = await kit.world.rows(
        "SELECT count(*) AS live FROM attempts GROUP BY message_id HAVING count(*) > 1"
    )
    assert rows == []


async def test_answer_recorded_right_after_the_finish_counts_as_sent(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text was under way when the enrollment was marked finished."""
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    wait = kit.services.finishing.last_texts

    async def record_then_wait(under_way: dict[UUID, list[UUID]]) -> dict[UUID, LastText]:
        await kit.services.sending.record_answer(
            call.attempt_id, Accepted("SM1", MessageStatus.QUEUED)
        )
        return await wait(under_way)

    monkeypatch.setattr(kit.services.finishing, "last_texts", record_then_wait)
    [result] = await finish(kit, enrollment)
    assert result.last_text is LastText.SENT


async def test_finishing_a_contact_stops_all_their_sequences_while_texts_are_due(
    kit: SendingKit,
) -> None:
    """Hired: one call, and after its answer nothing goes, not even what was under way."""
    [hired, other] = await kit.world.contacts(2)
    sequences = [await kit.sequence(*("Hi", "And again", "Still there?")) for _ in range(3)]
    theirs = [await kit.enroll(one, hired) for one in sequences]
    kept = await kit.enroll(sequences[0], other)
    ended = await kit.enroll(await kit.sequence(), hired)
    await kit.open_call(ended)
    await kit.text_back(ended)  # ends it while its text is under way
    await kit.send(theirs[0])
    await kit.pass_time(timedelta(days=2))
    kit.gateway.delay = 0.02
    answered = False

    async def send(enrollment: UUID) -> None:
        while not answered:
            await kit.run_step(enrollment)

    sending = [asyncio.create_task(send(one)) for one in theirs]
    await asyncio.sleep(0.05)
    results = await kit.services.finishing.finish_contact(hired, kit.world.user_id)
    gone = len(kit.gateway.calls)
    [under_way] = await kit.attempts(ended)
    assert datetime.now(UTC) > under_way.call_before
    answered = True
    await asyncio.gather(*sending)
    assert [(one.enrollment_id, one.result) for one in results] == [
        (one, "finished") for one in theirs
    ]
    for enrollment in theirs:
        await kit.run_step(enrollment)
        assert (await kit.row(enrollment)).status == "finished_stopped"
    assert len(kit.gateway.calls) == gone
    assert (await kit.row(kept)).status == "active"
    assert await kit.services.finishing.finish_contact(hired, kit.world.user_id) == []
    with pytest.raises(NotFoundError):
        await kit.services.finishing.finish_contact(uuid4(), kit.world.user_id)


async def test_finishing_a_contact_waits_for_what_happens_at_that_moment(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An enroll under way is found; a reply that comes between leaves its text to be waited for."""
    [hired] = await kit.world.contacts(1)
    ended = await kit.enroll(await kit.sequence("Hi"), hired)
    await kit.send_all(ended)
    await kit.pass_time(timedelta(days=8))
    await kit.run_close(ended)
    assert (await kit.row(ended)).status == "finished_no_response"
    one_off = await kit.one_off(ended)
    replied, late = await kit.enroll(await kit.sequence(), hired), await kit.sequence()
    finishing = kit.services.finishing
    mark_finished = finishing.mark_finished

    async def once_replied(active: Sequence[UUID], user_id: UUID) -> list[EnrollmentResult]:
        await kit.open_call(replied)
        await kit.text_back(replied)
        return await mark_finished(active, user_id)

    monkeypatch.setattr(finishing, "mark_finished", once_replied)
    enrolling = Enrolling(kit.world.database, workspace_zone=ZONE)
    async with kit.world.database.transaction() as tx:
        user_id = kit.world.user_id
        answer = await enrolling.enroll(late.id, user_id, contact_ids=[hired], within=tx)
        finish = asyncio.create_task(finishing.finish_contact(hired, user_id))
        await until_done_or_blocked(kit.world.database, finish)
    results = {one.enrollment_id: one.result for one in await finish}
    [attempt] = await kit.attempts(replied)
    assert datetime.now(UTC) > attempt.call_before
    assert results == {replied: "already_final", answer.enrolled[0].id: "finished"}
    await kit.run_message(one_off)
    assert len(kit.gateway.calls) == 1


async def test_one_off_under_way_when_a_contact_is_finished_is_never_tried_again(
    kit: SendingKit,
) -> None:
    """Written from an enrollment that had ended: throttled, or lost and found absent."""
    kit = kit.with_rules(call_before=timedelta(seconds=20))
    [hired] = await kit.world.contacts(1)
    ended = await kit.enroll(await kit.sequence("Hi", reply_window_seconds=0), hired)
    await kit.send_all(ended)
    await kit.run_close(ended)
    throttled, lost = await kit.one_off(ended), await kit.one_off(ended)
    kit.gateway.lose(to=await kit.phone(ended), creates=False)
    assert isinstance(await kit.run_message(lost), timedelta)
    call = await kit.services.sending.open_message(throttled)
    assert isinstance(call, SendRequest)

    finishing = kit.services.finishing.finish_contact(hired, kit.world.user_id)
    finish = asyncio.create_task(finishing)

    async def marked() -> bool:
        return (await kit.one_off_row(throttled)).cancel_reason is not None

    await until(marked)
    assert not finish.done()
    await kit.services.sending.record_answer(call.attempt_id, Refused(429, 20429))
    assert await finish == []

    assert (await kit.one_off_row(throttled)).status == "canceled"
    assert (await kit.one_off_row(lost)).status == "unknown"
    gone = len(kit.gateway.calls)
    for _ in range(3):
        await kit.pass_time(timedelta(minutes=3))
        for one in (throttled, lost):
            await kit.run_message(one)
    assert len(kit.gateway.calls) == gone
    assert (await kit.one_off_row(lost)).status == "canceled"
    told = await kit.world.rows(
        "SELECT data FROM events WHERE type = 'message.canceled' ORDER BY id"
    )
    assert [(one.data["message_id"], one.data["reason"]) for one in told] == [
        (str(throttled), "enrollment_ended"),
        (str(lost), "enrollment_ended"),
    ]
