"""Never twice: attempts without an answer, and how their outcome is proven.

The rules: docs/design.md, "Never twice, never after".
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import IntegrityError

from domain.messaging.ports import (
    Accepted,
    ListedMessage,
    NotCalled,
    OutcomeUnknown,
    Refused,
    SendRequest,
)
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from domain.statuses.progress import from_provider
from tests.fakes import Machine
from tests.kits.sending import SendingKit, about

SECOND = timedelta(seconds=1)
CALL_BEFORE, FIRST_LIST, SECOND_LIST = 5 * SECOND, 120 * SECOND, 60 * SECOND
DAY = timedelta(days=1)
LOST = [True, False]


async def lose(kit: SendingKit, enrollment: UUID, *, creates: bool) -> timedelta:
    """Lose the answer to the next text; return the wait until the activity's retry."""
    kit.gateway.lose(to=await kit.phone(enrollment), creates=creates)
    delay = await kit.run_step(enrollment)
    assert isinstance(delay, timedelta)
    return delay


async def look(kit: SendingKit, enrollment: UUID, after: timedelta) -> EnrollmentState | timedelta:
    await kit.pass_time(after)
    return await kit.run_step(enrollment)


def listed(kit: SendingKit, call: SendRequest, **changes: Any) -> ListedMessage:
    """Put a message into the provider's list."""
    values = {
        "sid": f"SM{uuid4().hex}",
        "body": call.body,
        "status": MessageStatus.SENT,
        "created_at": datetime.now(UTC).replace(microsecond=0),
        "to": call.to,
    }
    message = ListedMessage(**{**values, **changes})
    kit.gateway.messages[call.to].append(message)
    return message


async def test_lost_text_is_listed_by_the_number_it_went_to(kit: SendingKit) -> None:
    """The contact has another number since then, and the list shows no text to it."""
    enrollment = await kit.enroll(await kit.sequence("Hello", "Again"))
    delay = await lose(kit, enrollment, creates=True)
    contact_id = (await kit.row(enrollment)).contact_id
    await kit.services.contacts.update(contact_id, {"phone": "+12125550177"})
    for _ in range(3):
        state = await look(kit, enrollment, delay)
        delay = state if isinstance(state, timedelta) else DAY
    assert await kit.outcomes(enrollment, 1) == ["accepted"]
    assert len(kit.gateway.calls) == 2


# The deadline


async def test_a_call_that_never_began_is_tried_again_uncounted(kit: SendingKit) -> None:
    """The call never begins after ``call_before``."""
    enrollment = await kit.enroll()
    for _ in range(6):
        await kit.answers(enrollment, NotCalled())
        state = await kit.run_step(enrollment)
        assert isinstance(state, EnrollmentState)
        assert state.doing == "waiting"
        assert state.due_at is not None
        assert about(state.due_at, timedelta(seconds=2))
        await kit.pass_time(state.due_at - datetime.now(UTC))
    assert await kit.outcomes(enrollment) == ["absent"] * 6
    assert (await kit.message(enrollment)).failed_tries == 0
    await kit.send(enrollment)


async def test_deadline_counts_from_before_the_commit(kit: SendingKit) -> None:
    """A call that would begin too late does not."""
    kit = kit.with_rules(call_before=timedelta(milliseconds=50))
    kit.gateway.delay = 0.2
    enrollment = await kit.enroll()
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.doing == "waiting"
    assert kit.gateway.calls == []
    [attempt] = await kit.attempts(enrollment)
    assert attempt.outcome == "absent"
    assert attempt.call_before - attempt.started_at == timedelta(milliseconds=50)


@pytest.mark.parametrize("standstill", [Machine.suspend, Machine.pause])
async def test_call_of_a_machine_that_slept_until_absence_was_proven_is_not_made(
    kit: SendingKit, machine: Machine, standstill: Callable[[Machine, timedelta], None]
) -> None:
    """The call is late if any clock says so, after a suspension or a pause."""
    enrollment = await kit.enroll()
    asleep = await kit.open_call(enrollment)
    await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
    await look(kit, enrollment, SECOND_LIST)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]

    standstill(machine, CALL_BEFORE + FIRST_LIST + SECOND_LIST)

    assert await kit.gateway.create(asleep) == NotCalled()
    assert len(kit.gateway.calls) == 1


# Proof


@pytest.mark.parametrize("creates", LOST)
async def test_nothing_is_sent_before_the_list_can_prove_anything(
    kit: SendingKit,
    creates: bool,  # noqa: FBT001
) -> None:
    """The first list counts no sooner than 2 minutes after ``call_before``."""
    enrollment = await kit.enroll()
    delay = await lose(kit, enrollment, creates=creates)
    assert abs(delay - CALL_BEFORE - FIRST_LIST) < 3 * SECOND
    assert await kit.outcomes(enrollment) == ["unknown"]
    early = await look(kit, enrollment, timedelta(seconds=100))
    assert isinstance(early, timedelta)
    assert early < 30 * SECOND
    assert len(kit.gateway.calls) == 1
    assert (await kit.message(enrollment)).status == "unknown"


async def test_the_list_proves_that_a_text_is_there(kit: SendingKit) -> None:
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=True)
    state = await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.step) == ("waiting", 1)
    [attempt] = await kit.attempts(enrollment)
    assert (attempt.outcome, attempt.provider_status) == ("accepted", "queued")
    assert attempt.provider_sid == kit.gateway.messages[await kit.phone(enrollment)][0].sid
    assert about(state.due_at, DAY - CALL_BEFORE - FIRST_LIST)
    assert len(kit.gateway.calls) == 1


async def test_two_lists_apart_prove_that_it_is_not(kit: SendingKit) -> None:
    """Two lists, 60 s or more apart, prove absence; only the absent is attempted again."""
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=False)
    second = await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
    assert isinstance(second, timedelta)
    assert abs(second - SECOND_LIST) < 3 * SECOND
    assert len(kit.gateway.calls) == 1
    early = await look(kit, enrollment, 30 * SECOND)
    assert isinstance(early, timedelta)
    assert len(kit.gateway.calls) == 1
    state = await look(kit, enrollment, 30 * SECOND)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.step) == ("waiting", 1)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]
    assert (await kit.message(enrollment)).failed_tries == 1


async def test_a_text_that_shows_only_in_the_second_list_is_found(kit: SendingKit) -> None:
    """One list is not enough."""
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=True)
    phone = await kit.phone(enrollment)
    late = kit.gateway.messages.pop(phone)
    await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
    kit.gateway.messages[phone] = late
    await look(kit, enrollment, SECOND_LIST)
    assert await kit.outcomes(enrollment) == ["accepted"]
    assert len(kit.gateway.calls) == 1


@pytest.mark.parametrize(
    "changes",
    [{"created_at": datetime.now(UTC) - timedelta(hours=1)}, {"sid": "SM-of-another"}],
    ids=["before_the_attempt", "of_another_attempt"],
)
async def test_a_listed_text_that_is_not_the_attempts_proves_nothing(
    kit: SendingKit, changes: dict[str, Any]
) -> None:
    """A text counts if created since the attempt less 60 s, with an id no other attempt has."""
    [contact] = await kit.world.contacts(1)
    other, enrollment = [await kit.enroll(contact_id=contact) for _ in range(2)]
    await kit.answers(other, Accepted("SM-of-another", MessageStatus.QUEUED))
    await kit.send(other)
    await lose(kit, enrollment, creates=False)
    listed(kit, kit.gateway.calls[-1], **changes)
    await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
    await look(kit, enrollment, SECOND_LIST)
    assert (await kit.outcomes(enrollment))[0] == "absent"


@pytest.mark.parametrize(("seconds", "outcome"), [(-59, "accepted"), (-62, "absent")])
async def test_listed_text_may_be_dated_a_minute_earlier(
    kit: SendingKit, seconds: int, outcome: str
) -> None:
    """A text counts if created since the attempt less 60 s."""
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=False)
    started_at = (await kit.attempts(enrollment))[0].started_at
    passed = CALL_BEFORE + FIRST_LIST
    listed(kit, kit.gateway.calls[0], created_at=started_at - passed + seconds * SECOND)
    await look(kit, enrollment, passed)
    kit.gateway.messages.clear()
    await look(kit, enrollment, SECOND_LIST)
    assert (await kit.outcomes(enrollment))[0] == outcome


async def test_a_list_that_fails_is_never_absence(kit: SendingKit) -> None:
    """A list that fails is no proof of absence; after the give-up it is ``outcome_unknown``."""
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=True)
    kit.gateway.lists_fail = True
    waited = CALL_BEFORE + FIRST_LIST
    back = await look(kit, enrollment, waited)
    while isinstance(back, timedelta):
        assert abs(back - SECOND_LIST) < 3 * SECOND
        assert waited < timedelta(minutes=70)
        waited += timedelta(minutes=9) + back
        back = await look(kit, enrollment, timedelta(minutes=9) + back)
    assert waited > timedelta(hours=1)
    assert (back.doing, back.held_reason, back.due_at) == ("held", "outcome_unknown", None)
    row = await kit.row(enrollment)
    assert (row.status, row.held_reason, row.next_send_at) == ("active", "outcome_unknown", None)
    assert len(kit.gateway.calls) == 1
    again = await look(kit, enrollment, DAY)
    assert isinstance(again, EnrollmentState)
    assert (again.doing, len(kit.gateway.calls)) == ("held", 1)


async def test_a_list_that_fails_between_two_leaves_the_first_as_it_was(kit: SendingKit) -> None:
    """A list that fails is no proof of absence."""
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=False)
    await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
    kit.gateway.lists_fail = True
    back = await look(kit, enrollment, SECOND_LIST)
    assert isinstance(back, timedelta)
    assert await kit.outcomes(enrollment) == ["unknown"]
    kit.gateway.lists_fail = False
    await look(kit, enrollment, SECOND_LIST)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]


@pytest.mark.parametrize("by_sid", [False])
@pytest.mark.parametrize("status", ["queued", "sent", "delivered"])
async def test_a_callback_with_the_attempts_id_proves_it(
    kit: SendingKit, status: str, *, by_sid: bool
) -> None:
    """A callback with the attempt's id is proof."""
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=True)
    await kit.report((await kit.attempts(enrollment))[0], status, by_sid=by_sid)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.step) == ("waiting", 1)
    [attempt] = await kit.attempts(enrollment)
    assert (attempt.outcome, attempt.provider_status) == ("accepted", status)
    assert len(kit.gateway.calls) == 1


@pytest.mark.parametrize(
    "answer",
    [Accepted("", MessageStatus.QUEUED), OutcomeUnknown(), Refused(429, None), NotCalled()],
)
async def test_an_answer_recorded_after_a_callback_proved_it_changes_nothing(
    kit: SendingKit, answer: Any
) -> None:
    """A callback may come before the send call has returned."""
    enrollment = await kit.enroll()

    async def callback(_call: SendRequest) -> None:
        await kit.report((await kit.attempts(enrollment))[0], "sent", by_sid=False)

    kit.gateway.on_call = callback
    await kit.answers(enrollment, answer)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.step) == ("waiting", 1)
    assert about(state.due_at, DAY)
    [attempt] = await kit.attempts(enrollment)
    assert (attempt.outcome, attempt.provider_status) == ("accepted", "sent")
    assert (await kit.message(enrollment)).status == "sent"


async def test_a_failure_reported_before_the_answer_is_not_lost(kit: SendingKit) -> None:
    """Reports come out of order, before the call has returned."""
    enrollment = await kit.enroll()

    async def callback(_call: SendRequest) -> None:
        await kit.report((await kit.attempts(enrollment))[0], "undelivered", 30007, by_sid=False)

    kit.gateway.on_call = callback
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", "failed")


async def test_a_listed_text_that_failed_counts_as_reported(kit: SendingKit) -> None:
    """The failure that the list shows has its effect too."""
    enrollment = await kit.enroll()
    await lose(kit, enrollment, creates=False)
    listed(kit, kit.gateway.calls[0], status=MessageStatus.UNDELIVERED, error_code=30003)
    state = await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
    assert isinstance(state, EnrollmentState)
    assert about(state.due_at, timedelta(hours=4))
    [attempt] = await kit.attempts(enrollment)
    assert (attempt.outcome, attempt.reported_failed) == ("accepted", True)


async def test_the_fifth_absence_fails(kit: SendingKit) -> None:
    """Proven absences count as attempts."""
    enrollment = await kit.enroll()
    for _ in range(5):
        await lose(kit, enrollment, creates=False)
        await look(kit, enrollment, CALL_BEFORE + FIRST_LIST)
        await kit.pass_time(SECOND_LIST)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", "failed")
    assert len(kit.gateway.calls) == 5


# Workers that die


async def test_attempt_of_a_worker_that_died_before_the_call_is_absent(kit: SendingKit) -> None:
    """An attempt was left open, and nothing is at the provider."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    back = await kit.run_step(enrollment)
    assert isinstance(back, timedelta)
    assert abs(back - CALL_BEFORE - FIRST_LIST) < 3 * SECOND
    await look(kit, enrollment, back)
    await look(kit, enrollment, SECOND_LIST)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]
    assert len(kit.gateway.calls) == 1


async def test_attempt_of_a_worker_that_died_after_the_call_is_found(kit: SendingKit) -> None:
    """An attempt was left open, and the text is at the provider."""
    enrollment = await kit.enroll()
    await kit.gateway.create(await kit.open_call(enrollment))
    back = await kit.run_step(enrollment)
    assert isinstance(back, timedelta)
    await look(kit, enrollment, back)
    assert await kit.outcomes(enrollment) == ["accepted"]
    assert len(kit.gateway.calls) == 1


async def test_open_attempt_is_held_when_it_cannot_be_proven(kit: SendingKit) -> None:
    """An attempt whose outcome cannot be proven is held."""
    enrollment = await kit.enroll()
    await kit.open_call(enrollment)
    kit.gateway.lists_fail = True
    state = await look(kit, enrollment, timedelta(minutes=61))
    assert isinstance(state, EnrollmentState)
    assert state.held_reason == "outcome_unknown"


async def test_answer_that_comes_after_its_outcome_was_unknown_is_recorded(
    kit: SendingKit,
) -> None:
    """Twilio may take longer than the call waits."""
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    await kit.services.sending.record_answer(call.attempt_id, OutcomeUnknown())
    assert isinstance(await kit.run_step(enrollment), timedelta)
    late = Accepted("SM1", MessageStatus.QUEUED)
    await kit.services.sending.record_answer(call.attempt_id, late)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.step) == ("waiting", 1)
    assert await kit.outcomes(enrollment) == ["accepted"]
    assert kit.gateway.calls == []


async def test_answer_that_comes_after_a_person_was_asked_wakes_the_workflow(
    kit: SendingKit,
) -> None:
    enrollment = await kit.enroll()
    call = await kit.open_call(enrollment)
    kit.gateway.lists_fail = True
    await look(kit, enrollment, timedelta(minutes=61))
    assert (await kit.row(enrollment)).held_reason == "outcome_unknown"
    late = Accepted("SM1", MessageStatus.QUEUED)
    await kit.services.sending.record_answer(call.attempt_id, late)
    assert await kit.pending_signals(enrollment) == ["delivery_reported"]
    assert (await kit.row(enrollment)).activity == "waiting"


async def test_a_lost_text_that_the_list_shows_under_way_is_found(kit: SendingKit) -> None:
    """Twilio's own ``sending`` is no attempt of ours that is open."""
    enrollment = await kit.enroll()
    one_off = await kit.one_off(enrollment)
    kit.gateway.lose(creates=False)
    await kit.run_message(one_off)
    listed(kit, kit.gateway.calls[0], status=from_provider("sending"))
    await kit.pass_time(CALL_BEFORE + FIRST_LIST)
    await kit.run_message(one_off)
    assert (await kit.one_off_row(one_off)).status == "queued"
    await kit.run_message(one_off)
    assert len(kit.gateway.calls) == 1


async def test_answer_is_recorded_after_a_database_outage(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recording is tried again in the process with the provider's id in hand."""
    monkeypatch.setattr("activities.sending.RECORD_RETRY", timedelta(milliseconds=5))
    enrollment = await kit.enroll()
    record, failures = kit.services.sending.record_answer, [OSError(), OSError()]

    async def record_sometimes(*args: Any) -> Any:
        if failures:
            raise failures.pop()
        return await record(*args)

    monkeypatch.setattr(kit.services.sending, "record_answer", record_sometimes)
    state = await kit.send(enrollment)
    assert state.step == 1
    assert len(kit.gateway.calls) == 1


# Two attempts alike


async def test_listed_text_that_may_be_another_attempts_proves_nothing(kit: SendingKit) -> None:
    """Another attempt with the same text is under way, and twice is worse than late."""
    [contact] = await kit.world.contacts(1)
    lost, under_way = [await kit.enroll(contact_id=contact) for _ in range(2)]
    await lose(kit, lost, creates=False)
    await kit.pass_time(CALL_BEFORE + FIRST_LIST)
    call = await kit.open_call(under_way)
    answer = await kit.gateway.create(call)  # the answer is on its way
    back = await kit.run_step(lost)
    assert isinstance(back, timedelta)
    await kit.services.sending.record_answer(call.attempt_id, answer)
    assert await kit.outcomes(under_way) == ["accepted"]
    await look(kit, lost, back)
    await look(kit, lost, SECOND_LIST)
    assert await kit.outcomes(lost) == ["absent", "accepted"]
    assert len(kit.gateway.calls) == 3


async def test_two_identical_lost_texts_are_each_found(kit: SendingKit) -> None:
    """An id that another attempt has proves nothing."""
    [contact] = await kit.world.contacts(1)
    both = [await kit.enroll(contact_id=contact) for _ in range(2)]
    for enrollment in both:
        await lose(kit, enrollment, creates=True)
    await kit.pass_time(CALL_BEFORE + FIRST_LIST)
    for enrollment in both:
        await kit.run_step(enrollment)
    attempts = [(await kit.attempts(enrollment))[0] for enrollment in both]
    assert [attempt.outcome for attempt in attempts] == ["accepted", "accepted"]
    assert len({attempt.provider_sid for attempt in attempts}) == 2
    assert len(kit.gateway.calls) == 2


async def test_one_text_for_two_lost_attempts_waits_for_a_person(kit: SendingKit) -> None:
    """An attempt whose outcome cannot be proven is held: ``outcome_unknown``."""
    [contact] = await kit.world.contacts(1)
    both = [await kit.enroll(contact_id=contact) for _ in range(2)]
    await lose(kit, both[0], creates=True)
    await lose(kit, both[1], creates=False)
    await kit.pass_time(timedelta(minutes=61))
    kit.gateway.messages[await kit.phone(both[0])] = [
        ListedMessage("SM1", "Hi Ann0", MessageStatus.SENT, datetime.now(UTC) - timedelta(hours=1))
    ]
    for enrollment in both:
        state = await kit.run_step(enrollment)
        assert isinstance(state, EnrollmentState)
        assert state.held_reason == "outcome_unknown"
    assert len(kit.gateway.calls) == 2


async def test_text_treated_as_sent_is_not_taken_for_another(kit: SendingKit) -> None:
    """It is in the list under an id that no attempt has, in the same words."""
    [contact] = await kit.world.contacts(1)
    sent, lost = [await kit.enroll(contact_id=contact) for _ in range(2)]
    await lose(kit, sent, creates=True)
    await lose(kit, lost, creates=False)
    await kit.pass_time(timedelta(minutes=61))
    kit.gateway.messages[await kit.phone(sent)] = [
        ListedMessage("SM1", "Hi Ann0", MessageStatus.SENT, datetime.now(UTC) - timedelta(hours=1))
    ]
    await kit.run_step(sent)
    await kit.services.holds.release([sent], "treat_as_sent", kit.world.user_id)
    state = await kit.run_step(lost)
    assert isinstance(state, EnrollmentState)
    assert state.held_reason == "outcome_unknown"
    assert await kit.outcomes(sent) == ["assumed_sent"]
    assert await kit.outcomes(lost) == ["unknown"]


# The promise in the database


async def test_a_final_status_never_changes_even_by_plain_sql(kit: SendingKit) -> None:
    """All but active are final and never change."""
    enrollment = await kit.enroll()
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    for status in ("active", "failed"):
        with pytest.raises(IntegrityError, match="cannot become"):
            await kit.world.run("UPDATE enrollments SET status = :status", status=status)
    await kit.world.run("UPDATE enrollments SET status = 'finished_stopped', step = 0")


async def test_two_active_enrollments_of_one_contact_are_refused(kit: SendingKit) -> None:
    """At most one active enrollment per contact and sequence."""
    enrollment = await kit.enroll()
    copy = (
        "INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by,"
        " enrolled_at, status, activity, step_count, position, step, pass, ended_at) SELECT"
        " gen_random_uuid(), sequence_id, version_id, contact_id, enrolled_by, enrolled_at,"
        " :status, :activity, step_count, position, step, pass, :ended_at FROM enrollments"
        " WHERE id = :id"
    )
    with pytest.raises(IntegrityError, match="uq_enrollments_active"):
        await kit.world.run(copy, id=enrollment, status="active", activity="waiting", ended_at=None)
    await kit.world.run(
        copy, id=enrollment, status="failed", activity=None, ended_at=datetime.now(UTC)
    )


async def test_two_messages_of_one_step_are_refused(kit: SendingKit) -> None:
    """A step's message is unique per enrollment, step and pass."""
    await kit.send(await kit.enroll())
    copy = (
        "INSERT INTO messages (id, direction, phone, enrollment_id, step, pass, body, status)"
        " SELECT gen_random_uuid(), direction, phone, enrollment_id, step, :number, body, status"
        " FROM messages"
    )
    with pytest.raises(IntegrityError, match="uq_messages_step"):
        await kit.world.run(copy, number=1)
    await kit.world.run(copy, number=2)


@pytest.mark.parametrize("outcome", ["open", "unknown", "accepted", "assumed_sent"])
async def test_two_live_attempts_at_one_message_are_refused(kit: SendingKit, outcome: str) -> None:
    """A unique index backs the promise."""
    await kit.send(await kit.enroll())
    copy = (
        "INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before)"
        " SELECT gen_random_uuid(), message_id, 2, :outcome, now(), now() FROM attempts"
    )
    with pytest.raises(IntegrityError, match="uq_attempts_live"):
        await kit.world.run(copy, outcome=outcome)
    await kit.world.run("UPDATE attempts SET reported_failed = true")
    await kit.world.run(copy, outcome=outcome)
