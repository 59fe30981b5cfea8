"""What follows from the provider's answers and later reports.

The rules: docs/design.md, "Provider answers".
"""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from domain.enrollments.next_event import NextEvent
from domain.messaging.failing import LANDLINE_FOR_SURE
from domain.messaging.ports import Accepted, OutcomeUnknown, Refused
from domain.platform.provider_errors import TABLE
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.messaging import MessageStatus
from domain.statuses.sequences import ReplyPolicy
from services.enrollments.enrolling import Enrolling
from services.sequences.sequences import SequenceChange
from storage.enrollments import enrollments
from storage.messaging import attempts
from tests.kits.sending import SendingKit, about
from tests.worlds import ZONE, ongoing

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
HTTP_STATUS = {20003: 401, 20429: 429, 20500: 500, 20503: 503}

FAILED, OPTED_OUT, OMITTED = "failed", "opted_out", "omitted_opted_out"
LANDLINE = "omitted_landline"
SENDER, PERSON, UNKNOWN = "held: sender_on_hold", "held: destination_not_allowed", "unknown"
AT_ONCE = {
    21614: LANDLINE,
    21635: LANDLINE,
    30006: LANDLINE,
    21610: OMITTED,
    30004: FAILED,
    20429: "again in 0 min",
    14107: "again in 0 min",
    21611: "again in 30 min",
    30001: "again in 30 min",
    30017: "again in 30 min",
    30003: "again in 240 min",
    30023: "again at midnight",
    30027: "again at midnight",
    30022: "again in 1 min",
    30036: "again in 1 min",
    30008: FAILED,
    30410: FAILED,
    30034: SENDER,
    30032: SENDER,
    20003: SENDER,
    21606: SENDER,
    21703: SENDER,
    30002: SENDER,
    21408: PERSON,
    21608: PERSON,
    21211: FAILED,
    30005: FAILED,
    30007: FAILED,
    21617: FAILED,
    20500: UNKNOWN,
    20503: UNKNOWN,
    99999: FAILED,
    29999: FAILED,
}
"""The effects of docs/design.md, "Provider answers", on the first text."""


KINDS = {
    (TABLE[code].effect, TABLE[code].wait, code in LANDLINE_FOR_SURE): code
    for code in reversed(AT_ONCE)
    if code in TABLE
}
"""The first code of each kind that the rules tell apart; what they do is in tests/domain."""


def expected(code: int, *, late: bool, second: bool, delivered: bool) -> str:
    """Return what the design says about a code."""
    fate = AT_ONCE[code]
    if fate == UNKNOWN and late:
        return FAILED
    if fate == OMITTED and second:
        return OPTED_OUT
    return FAILED if fate == LANDLINE and delivered else fate


async def fate(kit: SendingKit, enrollment: UUID) -> str:
    row = await kit.row(enrollment)
    if row.status != "active":
        return str(row.status)
    if row.activity == "held":
        return f"held: {row.held_reason}"
    if row.activity == "sending":
        return str((await kit.attempts(enrollment))[-1].outcome)
    pacific = row.next_send_at.astimezone(ZoneInfo("America/Los_Angeles"))
    if pacific.time() == time(0):
        return "again at midnight"
    return f"again in {round((row.next_send_at - datetime.now(UTC)) / MINUTE)} min"


async def enroll_many(kit: SendingKit, count: int, **changes: Any) -> list[UUID]:
    """Enroll contacts in a sequence of three texts that follow one another at once."""
    steps = [ongoing(body, 0) for body in ("One", "Two", "Three")]
    sequence = await kit.sequence(**{"steps": steps, **changes})
    enrolling = Enrolling(kit.world.database, workspace_zone=ZONE)
    contacts = await kit.world.contacts(count)
    answer = await enrolling.enroll(sequence.id, kit.world.user_id, contact_ids=contacts)
    return [one.id for one in answer.enrolled]


async def enroll_one(kit: SendingKit, **changes: Any) -> UUID:
    return (await enroll_many(kit, 1, **changes))[0]


async def off_hold(kit: SendingKit) -> None:
    await kit.world.run("UPDATE senders SET held_at = NULL, next_probe_at = NULL")


def test_every_code_is_of_a_kind_with_one_fate() -> None:
    for code, row in TABLE.items():
        kind = KINDS[row.effect, row.wait, code in LANDLINE_FOR_SURE]
        assert AT_ONCE.get(code, AT_ONCE[kind]) == AT_ONCE[kind], code


@pytest.mark.parametrize("late", [False, True], ids=["at_once", "late"])
@pytest.mark.parametrize(
    "before", [None, "sent", "delivered"], ids=["first", "after_sent", "after_delivered"]
)
async def test_every_kind_of_code_does_what_the_design_says(
    kit: SendingKit, before: str | None, *, late: bool
) -> None:
    """Every row of docs/design.md, "Provider answers", and an unknown code."""
    codes = [*KINDS.values(), 99999]
    found: dict[int, str] = {}
    for code, enrollment in zip(codes, await enroll_many(kit, len(codes)), strict=True):
        if before is not None:
            await kit.send(enrollment)
            await kit.report((await kit.attempts(enrollment))[0], before)
        if late:
            await kit.send(enrollment)
            await kit.report((await kit.attempts(enrollment))[-1], "undelivered", code)
        else:
            await kit.refuses(enrollment, code, HTTP_STATUS.get(code, 400))
            await kit.run_step(enrollment)
        found[code] = await fate(kit, enrollment)
        held = (await kit.sender()).held_at is not None
        assert held == (found[code] == SENDER), code
        if held:
            assert (await kit.sender()).hold_code == code
            assert (await kit.row(enrollment)).held_code == code
            await off_hold(kit)
    second, delivered = before is not None, before == "delivered"
    assert found == {
        code: expected(code, late=late, second=second, delivered=delivered) for code in codes
    }


@pytest.mark.parametrize("code", [21614, 21635, 30006])
async def test_a_text_from_the_contact_counts_as_delivered(kit: SendingKit, code: int) -> None:
    enrollment = await enroll_one(kit, on_reply=ReplyPolicy.CONTINUE)
    await kit.send(enrollment)
    await kit.text_back(enrollment)
    await kit.refuses(enrollment, code)
    await kit.run_step(enrollment)
    assert await fate(kit, enrollment) == FAILED


@pytest.mark.parametrize(("code", "line_type"), [(21614, None), (21635, "landline")])
async def test_line_type_is_stored_if_the_code_proves_a_landline(
    kit: SendingKit, code: int, line_type: str | None
) -> None:
    """The line type is stored; after 21614 it is not, as the number may just be wrong."""
    enrollment = await enroll_one(kit)
    await kit.refuses(enrollment, code)
    await kit.run_step(enrollment)
    [contact] = await kit.world.rows("SELECT line_type FROM contacts")
    assert contact.line_type == line_type


@pytest.mark.parametrize("late", [False, True])
async def test_a_refusal_as_opted_out_ends_every_enrollment_of_the_number(
    kit: SendingKit,
    late: bool,  # noqa: FBT001
) -> None:
    """A 21610, now or later, suppresses the number."""
    [contact] = await kit.world.contacts(1)
    refused, never, sent = [await kit.enroll(contact_id=contact) for _ in range(3)]
    await kit.send(sent)
    if late:
        await kit.send(refused)
        await kit.report((await kit.attempts(refused))[0], "failed", 21610)
    else:
        await kit.refuses(refused, 21610)
        await kit.run_step(refused)
    assert [await fate(kit, one) for one in (refused, never, sent)] == [OMITTED, OMITTED, OPTED_OUT]
    [suppression] = await kit.world.rows("SELECT * FROM suppressions")
    assert suppression.source == "provider_error"
    assert suppression.attempt_id == (await kit.attempts(refused))[0].id
    assert await kit.pending_signals(sent) == ["opted_out"]


@pytest.mark.parametrize("toll_free", [False, True])
@pytest.mark.parametrize("through_service", [False, True])
async def test_30004_is_an_opt_out_for_a_toll_free_sender_only(
    kit: SendingKit,
    toll_free: bool,  # noqa: FBT001
    through_service: bool,  # noqa: FBT001
) -> None:
    """A 30004 opts out with a toll-free sender."""
    phone = "+18005550100" if toll_free else "+14155550142"
    await kit.world.run(
        "UPDATE senders SET phone = :phone, messaging_service_sid = :service",
        phone=None if through_service else phone,
        service="MG" + "0" * 32 if through_service else None,
    )
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    await kit.report((await kit.attempts(enrollment))[0], "queued", from_phone=phone)
    await kit.report((await kit.attempts(enrollment))[0], "undelivered", 30004, from_phone=phone)
    assert await fate(kit, enrollment) == (OMITTED if toll_free else FAILED)
    assert len(await kit.world.rows("SELECT * FROM suppressions")) == toll_free


async def test_an_old_refusal_does_not_undo_a_later_opt_in(kit: SendingKit) -> None:
    """A 21610 that arrives late does not undo a later opt-in."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    await kit.pass_time(MINUTE)
    await kit.text_back(enrollment, "STOP")
    await kit.text_back(enrollment, "START")
    await kit.report((await kit.attempts(enrollment))[0], "failed", 21610)
    assert await kit.world.rows("SELECT * FROM suppressions WHERE lifted_at IS NULL") == []


async def test_a_refusal_on_another_sender_after_an_opt_in_blocks_that_sender_only(
    kit: SendingKit,
) -> None:
    """A 21610 on another sender after an opt-in blocks that number for that sender."""
    [contact] = await kit.world.contacts(1)
    here = await kit.enroll(contact_id=contact)
    await kit.text_back(here, "STOP")
    await kit.text_back(here, "START")
    other = await kit.world.sender(uuid4(), "+14155550199")
    elsewhere = await kit.sequence(sender_id=other)
    refused, again = await kit.enroll(elsewhere, contact), await kit.enroll(contact_id=contact)
    await kit.refuses(refused, 21610)
    await kit.run_step(refused)
    assert [await fate(kit, one) for one in (refused, again)] == [OMITTED, "again in 0 min"]
    [row] = await kit.world.rows("SELECT * FROM suppressions WHERE lifted_at IS NULL")
    assert row.sender_id == other


async def test_a_refusal_ends_its_enrollment_though_the_sender_changed_meanwhile(
    kit: SendingKit,
) -> None:
    """An enrollment whose text was refused with 21610 never goes on."""
    [contact] = await kit.world.contacts(1)
    other = await kit.world.sender(uuid4(), "+14155550199")
    await kit.text_back(await kit.enroll(contact_id=contact), "STOP")
    [phone] = await kit.world.rows("SELECT phone FROM contacts")
    await kit.world.run("UPDATE suppressions SET lifted_at = now()")
    await kit.world.run(
        "UPDATE messages SET keyword = 'opt_in' WHERE phone = :phone", phone=phone.phone
    )
    sequence = await kit.sequence(sender_id=other)
    enrollment = await kit.enroll(sequence, contact)
    call = await kit.open_call(enrollment)
    await kit.world.run("UPDATE sequences SET sender_id = :id", id=kit.world.sender_id)
    state = await kit.services.sending.record_answer(call.attempt_id, Refused(400, 21610))
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", OMITTED)
    assert await fate(kit, enrollment) == OMITTED


# The same step again


async def test_the_same_step_goes_again_before_any_later_one(kit: SendingKit) -> None:
    """A late transient report sends the same step again, though a later step went out."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    await kit.send(enrollment)
    first = (await kit.attempts(enrollment, 1))[0]
    await kit.report(first, "undelivered", 30003)
    assert await kit.pending_signals(enrollment) == ["delivery_reported"]
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert about(state.due_at, timedelta(hours=4))
    await kit.pass_time(timedelta(hours=4))
    again = await kit.send(enrollment)
    assert (again.doing, again.step) == ("waiting", 2)
    last = await kit.send(enrollment)
    assert (last.doing, last.step) == ("awaiting_reply", 3)
    assert await kit.bodies(enrollment) == ["One", "Two", "One", "Three"]


async def test_a_failed_last_text_goes_again_before_the_window_closes(kit: SendingKit) -> None:
    """A transient report after the last text sends it again."""
    enrollment = await enroll_one(kit)
    await kit.send_all(enrollment)
    await kit.report((await kit.attempts(enrollment, 2))[0], "undelivered", 30001)
    row = await kit.row(enrollment)
    assert (row.activity, row.position, row.reply_until) == ("waiting", 2, None)
    closing = await kit.run_close(enrollment)
    assert closing.doing == "waiting"
    await kit.pass_time(timedelta(minutes=30))
    state = await kit.send(enrollment)
    assert state.doing == "awaiting_reply"
    assert about(state.due_at, 7 * DAY)
    assert await kit.bodies(enrollment) == ["One", "Two", "Three", "Two"]


async def test_a_step_under_way_does_not_overtake_the_one_to_be_repeated(kit: SendingKit) -> None:
    """A transient report comes while the next step is with the provider."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)

    async def report(_call: object) -> None:
        kit.gateway.on_call = None
        await kit.report((await kit.attempts(enrollment, 1))[0], "undelivered", 30003)

    kit.gateway.on_call = report
    state = await kit.send(enrollment)
    assert (state.doing, (await kit.row(enrollment)).position) == ("waiting", 1)
    await kit.pass_time(timedelta(hours=4))
    await kit.send(enrollment)
    await kit.send(enrollment)
    assert await kit.bodies(enrollment) == ["One", "Two", "One", "Three"]


@pytest.mark.parametrize("late", [False, True])
async def test_the_fifth_failure_is_the_last(kit: SendingKit, late: bool) -> None:  # noqa: FBT001
    """After five attempts a transient failure is final."""
    enrollment = await enroll_one(kit)
    for number in range(1, 6):
        assert await fate(kit, enrollment) == "again in 0 min"
        if late:
            await kit.send(enrollment)
            await kit.report((await kit.attempts(enrollment))[-1], "undelivered", 30001)
        else:
            await kit.refuses(enrollment, 30001)
            await kit.run_step(enrollment)
        assert len(kit.gateway.calls) == number
        if number < 5:
            row = await kit.row(enrollment)
            await kit.pass_time(row.next_send_at - datetime.now(UTC))
    assert await fate(kit, enrollment) == FAILED
    row = await kit.row(enrollment)
    assert row.error_code == 30001


async def test_holds_do_not_count_as_failures(kit: SendingKit) -> None:
    """An attempt that put the sender on hold is not counted."""
    enrollment = await enroll_one(kit)
    for _ in range(4):
        await kit.refuses(enrollment, None, 429)
        await kit.run_step(enrollment)
        await kit.pass_time(timedelta(hours=1))
    for _ in range(6):
        await kit.refuses(enrollment, 21408)
        await kit.run_step(enrollment)
        assert await fate(kit, enrollment) == PERSON
        await kit.services.holds.release([enrollment], "retry", kit.world.user_id)
    await kit.send(enrollment)
    assert (await kit.row(enrollment)).step == 1


async def test_a_refused_connection_is_tried_again_uncounted(kit: SendingKit) -> None:
    """Nothing left this process."""
    enrollment = await enroll_one(kit)
    for _ in range(6):
        await kit.answers(enrollment, Refused(0, None))
        await kit.run_step(enrollment)
        assert await fate(kit, enrollment) == "again in 1 min"
        await kit.pass_time(MINUTE)
    await kit.send(enrollment)


@pytest.mark.parametrize("code", [30008, 30410])
async def test_text_that_may_have_arrived_is_never_sent_again(kit: SendingKit, code: int) -> None:
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    await kit.report((await kit.attempts(enrollment))[0], "undelivered", code)
    assert await fate(kit, enrollment) == FAILED
    await kit.pass_time(DAY)
    await kit.run_step(enrollment)
    assert await kit.bodies(enrollment) == ["One"]


async def test_an_expired_text_goes_in_the_next_window(kit: SendingKit) -> None:
    """A text whose validity expired (30036) goes at the next window."""
    hour = datetime.now(UTC).hour
    half_hour = f"{(hour + 3) % 24:02}:00", f"{(hour + 3) % 24:02}:30"
    window = dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), half_hour)
    sequence = await kit.sequence()
    [contact] = await kit.world.contacts(1, time_zone="Etc/UTC")
    enrollment = await kit.enroll(sequence, contact)
    await kit.send(enrollment)
    await kit.services.sequences.change(
        sequence.id, SequenceChange(send_window=window), kit.world.user_id
    )
    await kit.report((await kit.attempts(enrollment))[0], "failed", 30036)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert state.due_at is not None
    assert (state.due_at.hour, state.due_at.minute) == ((hour + 3) % 24, 0)
    assert len(kit.gateway.calls) == 1


# Permanent errors


async def test_permanent_error_is_shown_and_keeps_the_reply(kit: SendingKit) -> None:
    """A permanent error keeps ``replied_at``."""
    enrollment = await enroll_one(kit, on_reply=ReplyPolicy.CONTINUE)
    await kit.send(enrollment)
    await kit.text_back(enrollment)
    replied_at = (await kit.row(enrollment)).replied_at
    await kit.refuses(enrollment, 21211)
    state = await kit.run_step(enrollment)
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", FAILED)
    row = await kit.row(enrollment)
    assert (row.status, row.error_code, row.replied_at) == (FAILED, 21211, replied_at)
    assert replied_at is not None
    message = await kit.message(enrollment, 2)
    assert (message.status, message.error_code) == ("refused", 21211)


async def test_a_failure_reported_after_a_reply_fails(kit: SendingKit) -> None:
    """A permanent error in a report keeps the reply that was remembered."""
    enrollment = await enroll_one(kit, on_reply=ReplyPolicy.CONTINUE)
    await kit.send(enrollment)
    await kit.text_back(enrollment)
    await kit.report((await kit.attempts(enrollment))[0], "undelivered", 30007)
    row = await kit.row(enrollment)
    assert (row.status, row.error_code) == (FAILED, 30007)
    assert row.replied_at is not None
    assert await kit.pending_signals(enrollment) == ["delivery_reported"]


@pytest.mark.parametrize("code", [30003, 30005, 30006, 30007, 30008, 30034, None])
async def test_a_delivered_text_stays_delivered(kit: SendingKit, code: int | None) -> None:
    """Message states only move up: a failure after the delivery changes nothing."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    attempt = (await kit.attempts(enrollment))[0]
    await kit.report(attempt, "delivered")
    before = await kit.row(enrollment)
    await kit.report(attempt, "undelivered", code)
    assert await kit.row(enrollment) == before
    attempt = (await kit.attempts(enrollment))[0]
    assert (attempt.provider_status, attempt.reported_failed) == ("delivered", False)
    assert (await kit.message(enrollment)).status == "delivered"
    assert (await kit.sender()).held_at is None


async def test_an_opt_out_counts_even_after_a_delivery(kit: SendingKit) -> None:
    """A text that was delivered before a late 21610 was *sent*."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    attempt = (await kit.attempts(enrollment))[0]
    await kit.report(attempt, "delivered")
    await kit.report(attempt, "failed", 21610)
    assert await fate(kit, enrollment) == OPTED_OUT


async def test_late_delivery_cancels_the_resend(kit: SendingKit) -> None:
    """Reports in any order leave at most one attempt accepted and not reported failed."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    attempt = (await kit.attempts(enrollment))[0]
    await kit.report(attempt, "undelivered", 30003)
    await kit.report(attempt, "delivered")
    row = await kit.row(enrollment)
    assert (row.position, row.activity) == (2, "waiting")
    await kit.send(enrollment)
    assert await kit.bodies(enrollment) == ["One", "Two"]


async def test_enrollment_moved_meanwhile_is_not_moved_back(kit: SendingKit) -> None:
    """Two numbers of one contact are two locks, so the row may change in between."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    attempt = (await kit.attempts(enrollment))[0]
    await kit.report(attempt, "undelivered", 30003)
    await kit.report(attempt, "delivered")
    await kit.send(enrollment)
    before = await kit.row(enrollment)
    async with kit.world.database.transaction() as tx:
        now = datetime.now(UTC)
        moved = await enrollments.record_sent(
            tx, enrollment, 1, 1, NextEvent(2, next_send_at=now), at=now, signal=None
        )
    assert not moved
    assert await kit.row(enrollment) == before


async def test_two_reports_of_one_failure_count_once(kit: SendingKit) -> None:
    """A callback may come twice."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    attempt = (await kit.attempts(enrollment))[0]
    for status, code in (("failed", 30001), ("undelivered", 30003), ("failed", 30001)):
        await kit.report(attempt, status, code)
    assert await fate(kit, enrollment) == "again in 30 min"
    assert (await kit.message(enrollment)).failed_tries == 1


@pytest.mark.parametrize("code", [30003, 21211, 30034, 21408])
async def test_ended_enrollment_keeps_its_status_after_reports(kit: SendingKit, code: int) -> None:
    """After the end callbacks change only messages."""
    enrollment = await enroll_one(kit)
    await kit.send(enrollment)
    await kit.services.finishing.mark_finished([enrollment], kit.world.user_id)
    await kit.report((await kit.attempts(enrollment))[0], "failed", code)
    row = await kit.row(enrollment)
    assert (row.status, row.error_code, row.activity) == ("finished_stopped", None, None)
    assert (await kit.message(enrollment)).status == "failed"


@pytest.mark.parametrize(
    ("answer", "step", "message"),
    [
        (Accepted("SM1", MessageStatus.QUEUED), 1, "queued"),
        (Refused(400, 21211), 0, "refused"),
        (Refused(429, None), 0, "refused"),
        (Refused(401, 20003), 0, "refused"),
        (Refused(0, None), 0, "pending"),
        (OutcomeUnknown(), 0, "unknown"),
    ],
)
async def test_an_answer_after_the_end_changes_only_the_message(
    kit: SendingKit, answer: Any, step: int, message: str
) -> None:
    """The enrollment ends while a call is under way."""
    enrollment = await enroll_one(kit)
    call = await kit.open_call(enrollment)
    await kit.world.run(
        "UPDATE enrollments SET status = 'finished_stopped', activity = NULL, ended_at = now(),"
        " next_send_at = NULL"
    )
    await kit.services.sending.record_answer(call.attempt_id, answer)
    row = await kit.row(enrollment)
    assert (row.status, row.step) == ("finished_stopped", step)
    assert (row.last_message_at is not None) == (step == 1)
    assert (await kit.message(enrollment)).status == message


async def test_an_end_between_reading_and_writing_is_noticed(
    kit: SendingKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guarded UPDATE decides; a text that never left is not noted as sent."""
    enrollment = await enroll_one(kit)
    call = await kit.open_call(enrollment)
    load = attempts.load

    async def load_then_end(*args: Any) -> Any:
        row = await load(*args)
        await kit.world.run(
            "UPDATE enrollments SET status = 'finished_stopped', activity = NULL,"
            " ended_at = now(), next_send_at = NULL"
        )
        return row

    monkeypatch.setattr(attempts, "load", load_then_end)
    state = await kit.services.sending.record_answer(call.attempt_id, Refused(0, None))
    assert isinstance(state, EnrollmentState)
    assert (state.doing, state.status) == ("ended", "finished_stopped")
    row = await kit.row(enrollment)
    assert (row.step, row.last_message_at) == (0, None)
