"""One-off texts: bound by suppression and docs/design.md, "Never twice, never after", alone."""

from datetime import timedelta
from uuid import UUID

import pytest

from domain.messaging.ports import NotCalled, Refused, SendRequest
from domain.statuses.enrollment_state import EnrollmentState
from tests.kits.sending import SendingKit, about

SECOND = timedelta(seconds=1)
RECONCILABLE = 125 * SECOND


async def write(kit: SendingKit) -> tuple[UUID, UUID]:
    """An enrollment and a one-off text to its contact."""
    enrollment = await kit.enroll()
    return enrollment, await kit.one_off(enrollment)


async def run(kit: SendingKit, message: UUID) -> EnrollmentState:
    state = await kit.run_message(message)
    assert isinstance(state, EnrollmentState)
    return state


async def test_a_one_off_goes_outside_the_window_and_in_a_paused_sequence(kit: SendingKit) -> None:
    """A one-off is not bound by the send window."""
    enrollment, message = await write(kit)
    await kit.world.run("""UPDATE sequences SET state = 'paused', send_window = '{"mon":
        ["03:00", "03:15"]}'""")
    state = await run(kit, message)
    assert (state.doing, state.status) == ("ended", "accepted")
    [call] = kit.gateway.calls
    assert (call.body, call.validity_seconds) == ("A word from me", 36_000)
    assert (await kit.one_off_row(message)).status == "queued"
    row = await kit.row(enrollment)
    assert (row.step, row.position, row.activity) == (0, 1, "waiting")
    assert row.last_message_at is not None
    again = await run(kit, message)
    assert (again.doing, again.status, len(kit.gateway.calls)) == ("ended", "queued", 1)


async def test_one_off_to_a_suppressed_number_is_refused(kit: SendingKit) -> None:
    """A one-off is always bound by suppression."""
    _, message = await write(kit)
    [contact] = await kit.world.rows("SELECT id FROM contacts")
    await kit.world.suppress(contact.id)
    state = await run(kit, message)
    assert (state.doing, state.status) == ("ended", "refused")
    assert kit.gateway.calls == []
    assert (await kit.one_off_row(message)).error_code == 21610


async def test_one_off_to_a_landline_is_refused(kit: SendingKit) -> None:
    enrollment, message = await write(kit)
    await kit.landline(enrollment)
    assert (await run(kit, message)).status == "refused"
    assert (await kit.one_off_row(message)).error_code == 21614
    assert kit.gateway.calls == []


async def test_unapplied_inbound_text_blocks_a_one_off(kit: SendingKit) -> None:
    """An unapplied inbound text blocks one-offs to its number too."""
    enrollment, message = await write(kit)
    await kit.keep_unapplied(enrollment)
    state = await run(kit, message)
    assert state.doing == "waiting"
    assert about(state.due_at, 10 * SECOND)
    assert kit.gateway.calls == []


@pytest.mark.parametrize("code", [21211, 21614, 21408, 30007, 21617])
@pytest.mark.parametrize("late", [False, True])
async def test_failed_one_off_does_not_fail_its_enrollment(
    kit: SendingKit,
    code: int,
    late: bool,  # noqa: FBT001
) -> None:
    """A failed message of the sequence fails the enrollment; a failed one-off does not."""
    enrollment, message = await write(kit)
    if late:
        await run(kit, message)
        [attempt] = await kit.attempts(enrollment)
        await kit.report(attempt, "undelivered", code)
    else:
        await kit.refuses(enrollment, code)
        state = await run(kit, message)
        assert (state.doing, state.status) == ("ended", "failed")
    row = await kit.one_off_row(message)
    assert (row.status, row.error_code) == ("failed", code)
    assert (await kit.row(enrollment)).status == "active"
    assert (await run(kit, message)).doing == "ended"
    await kit.send(enrollment)


@pytest.mark.parametrize("late", [False, True])
async def test_21610_of_a_one_off_ends_all_enrollments_of_the_number(
    kit: SendingKit,
    late: bool,  # noqa: FBT001
) -> None:
    """A 21610 about a one-off text opts out."""
    enrollment, message = await write(kit)
    if late:
        await run(kit, message)
        await kit.report((await kit.attempts(enrollment))[0], "failed", 21610)
    else:
        await kit.refuses(enrollment, 21610)
        await run(kit, message)
    assert (await kit.row(enrollment)).status == "omitted_opted_out"
    assert len(await kit.world.rows("SELECT * FROM suppressions")) == 1


async def test_one_off_is_tried_five_times_after_transient_refusals(kit: SendingKit) -> None:
    """A one-off that fails for a passing reason is tried again."""
    enrollment, message = await write(kit)
    for number in range(1, 6):
        await kit.refuses(enrollment, 21611)
        state = await run(kit, message)
        assert len(kit.gateway.calls) == number
        if number < 5:
            assert state.doing == "waiting"
            assert about(state.due_at, timedelta(minutes=30))
            assert (await run(kit, message)).due_at == state.due_at
            await kit.pass_time(timedelta(minutes=30))
    assert (state.doing, state.status) == ("ended", "failed")
    assert (await kit.row(enrollment)).status == "active"


async def test_a_call_that_never_began_is_tried_again(kit: SendingKit) -> None:
    """The call of a one-off never begins after ``call_before`` either."""
    enrollment, message = await write(kit)
    await kit.answers(enrollment, NotCalled())
    assert (await run(kit, message)).doing == "waiting"
    await kit.pass_time(timedelta(seconds=3))
    assert (await run(kit, message)).status == "accepted"
    assert (await kit.row(enrollment)).due_at is not None


async def test_lost_one_off_is_reconciled_like_a_step(kit: SendingKit) -> None:
    """A one-off without an answer is found in the list."""
    enrollment, message = await write(kit)
    kit.gateway.lose(to=await kit.phone(enrollment), creates=True)
    assert isinstance(await kit.run_message(message), timedelta)
    await kit.pass_time(RECONCILABLE)
    assert (await run(kit, message)).doing == "ended"
    assert await kit.outcomes(enrollment) == ["accepted"]
    assert len(kit.gateway.calls) == 1


async def test_absent_one_off_is_sent_again(kit: SendingKit) -> None:
    """A one-off without an answer is absent after two lists."""
    enrollment, message = await write(kit)
    kit.gateway.lose(to=await kit.phone(enrollment), creates=False)
    for _ in range(3):
        await kit.run_message(message)
        await kit.pass_time(RECONCILABLE)
    assert await kit.outcomes(enrollment) == ["absent", "accepted"]
    row = await kit.row(enrollment)
    assert (row.step, row.activity) == (0, "waiting")


async def test_unprovable_one_off_ends_unknown_and_is_not_sent_again(
    kit: SendingKit,
) -> None:
    enrollment, message = await write(kit)
    kit.gateway.lose(to=await kit.phone(enrollment), creates=True)
    await kit.run_message(message)
    kit.gateway.lists_fail = True
    await kit.pass_time(timedelta(minutes=61))
    for _ in range(2):
        state = await run(kit, message)
        assert (state.doing, state.status) == ("ended", "unknown")
    assert len(kit.gateway.calls) == 1
    row = await kit.row(enrollment)
    assert (row.status, row.held_reason) == ("active", None)
    await kit.report((await kit.attempts(enrollment))[0], "delivered", by_sid=False)
    assert (await kit.one_off_row(message)).status == "delivered"
    assert (await run(kit, message)).status == "delivered"


async def test_one_off_of_a_sender_on_hold_waits_without_a_call(kit: SendingKit) -> None:
    """One-offs of a sender on hold wait without calling."""
    held, _ = await write(kit)
    await kit.refuses(held, 20003, 401)
    await kit.run_step(held)
    _, message = await write(kit)
    state = await run(kit, message)
    assert (state.doing, state.due_at) == ("held", None)
    assert len(kit.gateway.calls) == 1
    await kit.services.holds.release_sender(kit.world.sender_id, kit.world.user_id)
    assert (await run(kit, message)).status == "accepted"


async def test_one_off_that_found_the_sender_broken_probes_it(kit: SendingKit) -> None:
    """After 10 s, then 30 s ..., though no enrollment waits."""
    enrollment, message = await write(kit)
    await kit.refuses(enrollment, 20003, 401)
    state = await run(kit, message)
    assert state.doing == "waiting"
    assert about(state.due_at, timedelta(seconds=10))
    assert (await kit.sender()).held_at is not None
    await kit.refuses(enrollment, 20003, 401)
    await kit.pass_time(timedelta(seconds=10))
    assert about((await run(kit, message)).due_at, timedelta(seconds=30))
    await run(kit, message)
    assert len(kit.gateway.calls) == 2
    await kit.pass_time(timedelta(minutes=5))
    assert (await run(kit, message)).status == "accepted"
    assert (await kit.sender()).held_at is None
    assert (await kit.row(enrollment)).status == "active"


async def test_two_waiting_one_offs_do_not_probe_twice(kit: SendingKit) -> None:
    """There is exactly one probe in an interval."""
    held, message = await write(kit)
    _, other = await write(kit)
    await kit.refuses(held, 20003, 401)
    await kit.run_step(held)
    await kit.pass_time(timedelta(minutes=5))
    assert isinstance(await kit.services.sending.open_message(message), SendRequest)
    assert (await run(kit, other)).doing == "held"
    assert (await kit.services.sweep.sweep()).probes == 0


async def test_a_refusal_before_any_connection_is_waited_out(kit: SendingKit) -> None:
    """Nothing left this process."""
    enrollment, message = await write(kit)
    await kit.answers(enrollment, Refused(0, None))
    state = await run(kit, message)
    assert about(state.due_at, timedelta(minutes=1))


async def test_finish_cancels_a_waiting_one_off(kit: SendingKit) -> None:
    """No attempt is committed after a finish was; a one-off written afterwards goes."""
    enrollment, message = await write(kit)
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    state = await run(kit, message)
    assert (state.doing, state.status) == ("ended", "canceled")
    assert kit.gateway.calls == []
    [told] = await kit.world.rows("SELECT data FROM events WHERE type = 'message.canceled'")
    assert told.data["message_id"] == str(message)
    assert (told.data["reason"], told.data["send_at"]) == ("enrollment_ended", None)

    afterwards = await kit.one_off(enrollment)
    assert (await run(kit, afterwards)).status == "accepted"


async def test_lost_one_off_workflow_is_restarted(kit: SendingKit) -> None:
    """The sweep restarts what is 10 minutes late."""
    _, message = await write(kit)
    await kit.world.run("DELETE FROM outbox")
    await kit.services.sweep.sweep()
    assert message not in {told[1] for told in kit.temporal.told}
    await kit.world.run("UPDATE messages SET created_at = now() - interval '11 minutes'")
    await kit.services.sweep.sweep()
    assert message in {told[1] for told in kit.temporal.told}
