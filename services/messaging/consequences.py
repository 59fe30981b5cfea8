"""What follows from a text that was accepted, or refused, or failed later."""

import logging
import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.enrollments.next_event import NextEvent
from domain.platform.provider_errors import (
    Effect,
    ProviderError,
    Wait,
    explain,
    next_probe,
    retry_at,
)
from domain.platform.rules import EARLY_TOLERANCE, SendingRules
from domain.sequences.timing import ContactClock, SendWindow, next_slot, ongoing_due, scheduled_due
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.progress import DELIVERIES, higher
from domain.statuses.suppression import OptOutSource
from services.suppression.opt_outs import opt_out
from storage.enrollments import enrollments, next_step
from storage.event_webhooks import events
from storage.messaging import holds, outcomes, sending
from storage.messaging.outcomes import AttemptRow
from storage.platform.database import Transaction
from storage.platform.locks import lock_enrollments_of
from storage.suppression.suppressions import Evidence

_logger = logging.getLogger(__name__)

LANDLINE_FOR_SURE = frozenset({21635, 30006})
"""Codes that say landline; 21614 may also mean a number that is merely wrong."""


DELIVERY_REPORTED = "delivery_reported"
"""The signal that tells a workflow of news that nothing of its own has asked for."""


@dataclass(frozen=True)
class Learned:
    """How a fact about an attempt was learned.

    Attributes:
        now: When.
        by_report: In a later report, not as the answer to the call.
        signal: What to tell the workflow; None when its own activity is asking.
    """

    now: datetime
    by_report: bool = False
    signal: str | None = None


def proven(row: AttemptRow) -> Learned:
    """Return how it was learned that the provider has a text.

    The workflow is told if it waits for a person, or for its text to be sent again; one that is
    still settling the attempt finds out by itself.
    """
    is_blocked = row.held_reason is HeldReason.OUTCOME_UNKNOWN
    is_settled = row.outcome not in {AttemptOutcome.OPEN, AttemptOutcome.UNKNOWN}
    return Learned(row.read_at, signal=DELIVERY_REPORTED if is_blocked or is_settled else None)


async def accepted(
    tx: Transaction,
    row: AttemptRow,
    rules: SendingRules,
    learned: Learned,
    *,
    sid: str | None,
    status: MessageStatus,
    from_phone: str | None,
) -> EnrollmentState:
    """Note that the provider has the message, and move on to what comes next.

    Args:
        tx: Holds the number's lock.
        row: The attempt.
        rules: The timings.
        learned: How this is known.
        sid: The provider's id; None when a person decided to treat it as sent.
        status: The provider's word on it.
        from_phone: The number it went out from, if known.
    """
    if row.step is not None and row.enrollment_id is not None:
        await next_step.hold(tx, row.enrollment_id)
    overtaken = not row.latest and await outcomes.stands_anew(tx, row)
    if row.outcome is AttemptOutcome.ACCEPTED or overtaken:
        await outcomes.set_attempt(
            tx,
            row.attempt_id,
            provider_sid=row.provider_sid or sid,
            provider_status=higher(row.provider_status, status).value,
        )
        return as_it_stands(row)
    at = row.started_at if row.outcome is AttemptOutcome.UNKNOWN else learned.now
    await outcomes.accept(
        tx,
        row,
        sid=sid,
        provider_status=higher(row.provider_status, status),
        from_phone=from_phone,
        at=at,
    )
    if row.sender_held_at is not None and not row.hold_from_report:
        await off_hold_if_later(tx, row)
    if row.outcome is not AttemptOutcome.ASSUMED_SENT:
        await events.message_sent(tx, row.message_id)
    if status in DELIVERIES and row.provider_status not in DELIVERIES:
        await events.message_delivered(tx, row.message_id)
    return await advance(tx, row, rules, learned, at)


async def off_hold_if_later(tx: Transaction, row: AttemptRow) -> None:
    """A text that the provider took since the sender went on hold proves that it works again."""
    if row.sender_held_at is not None:
        await holds.end_hold(tx, row.sender_id, proven_at=row.started_at)


async def advance(
    tx: Transaction, row: AttemptRow, rules: SendingRules, learned: Learned, at: datetime
) -> EnrollmentState:
    """Move the enrollment past the accepted step: the next step, the reply window, or the end."""
    if row.enrollment_id is None or row.step is None:
        if row.enrollment_id is not None:
            await enrollments.record_text(tx, row.enrollment_id, 0, at=at)
        return EnrollmentState(doing="ended", status=MessageStatus.ACCEPTED)
    is_current = row.step == row.position and row.pass_number == row.enrollment_pass
    if not is_current or row.status is None or row.status.is_final:
        await enrollments.record_text(tx, row.enrollment_id, row.step, at=at)
        return as_it_stands(row)
    place = await next_step.next_place(
        tx, row.enrollment_id, start=row.step + 1, reached=row.steps_sent
    )
    if place.position > row.step_count:
        return await _all_sent(tx, row, learned, at, place)
    clock = ContactClock.of(
        time_zone=place.time_zone,
        phone=place.phone,
        workspace=place.workspace_zone or rules.workspace_zone,
    )
    if place.send_at is not None:
        due_at = scheduled_due(place.send_at, clock)
    else:
        delay = timedelta(seconds=place.delay_seconds or 0)
        due_at = ongoing_due(at, delay, place.at_time, clock)
    window = SendWindow.parse(place.send_window) if place.send_window is not None else None
    next_send_at = next_slot(max(due_at, learned.now), window, clock).at
    moved = await enrollments.record_sent(
        tx,
        row.enrollment_id,
        row.step,
        row.enrollment_pass,
        NextEvent(place.position, due_at, next_send_at),
        at=at,
        signal=learned.signal,
    )
    if not moved:
        await enrollments.record_text(tx, row.enrollment_id, row.step, at=at)
        return await _overtaken(tx, row)
    return _moved(_past(row), doing=EnrollmentPhase.WAITING, due_at=next_send_at)


async def _all_sent(
    tx: Transaction, row: AttemptRow, learned: Learned, at: datetime, place: next_step.NextStep
) -> EnrollmentState:
    """Every step went out: await a reply, or end if one was remembered."""
    assert row.enrollment_id is not None  # noqa: S101 - the caller looked
    assert row.step is not None  # noqa: S101 - the caller looked
    reply_until = at + timedelta(seconds=place.reply_window_seconds)
    has_replied = row.replied_at is not None
    moved = await enrollments.record_sent(
        tx,
        row.enrollment_id,
        row.step,
        row.enrollment_pass,
        NextEvent(row.step_count + 1, reply_until=reply_until),
        at=at,
        signal=None if has_replied else learned.signal,
    )
    if not moved:
        await enrollments.record_text(tx, row.enrollment_id, row.step, at=at)
        return await _overtaken(tx, row)
    if has_replied:
        status = EnrollmentStatus.FINISHED_RESPONDED
        await enrollments.end(tx, [row.enrollment_id], status, signal=learned.signal)
        return _ended(_past(row), status)
    return _moved(_past(row), doing=EnrollmentPhase.AWAITING_REPLY, due_at=reply_until)


def _past(row: AttemptRow) -> AttemptRow:
    """The row with its own step counted as sent."""
    return replace(row, steps_sent=max(row.steps_sent, row.step or 0))


async def _overtaken(tx: Transaction, row: AttemptRow) -> EnrollmentState:
    """Somebody has ended or moved the enrollment since it was read: it stands as it is now."""
    return as_it_stands(await outcomes.load(tx, row.attempt_id) or row)


def _moved(row: AttemptRow, *, doing: EnrollmentPhase, due_at: datetime) -> EnrollmentState:
    return EnrollmentState(
        doing=doing,
        status=EnrollmentStatus.ACTIVE,
        due_at=due_at,
        step=row.steps_sent,
        step_count=row.step_count,
        sender_id=str(row.sender_id),
    )


async def lock_for(
    tx: Transaction, row: AttemptRow, error: ProviderError | None, *, moves_on: bool = False
) -> None:
    """Lock what an error changes, or what changes where the enrollment ``moves_on``."""
    effect = error.effect if error is not None else None
    if effect is Effect.LANDLINE and row.contact_id is not None:
        await outcomes.lock_contact(tx, row.contact_id)
    if moves_on and row.step is not None and row.enrollment_id is not None:
        await next_step.hold(tx, row.enrollment_id)
    if effect is Effect.HOLD_SENDER or row.sender_held_at is not None:
        await holds.lock_sender(tx, row.sender_id)
    if effect is Effect.OPTED_OUT:
        also = [row.enrollment_id] if row.enrollment_id is not None else []
        await lock_enrollments_of(tx, [row.phone], also=also)


async def failed(
    tx: Transaction,
    row: AttemptRow,
    rules: SendingRules,
    learned: Learned,
    error: ProviderError,
    *,
    http_status: int | None = None,
) -> EnrollmentState:
    """Apply a refusal or a failure report: to the attempt, the number, sender and enrollment."""
    code = error.code or None
    await lock_for(tx, row, error)
    row = await _mark_failed(tx, row, learned, code, http_status)
    if error.effect is Effect.HOLD_SENDER:
        await holds.hold_sender(
            tx,
            row.sender_id,
            code=code,
            from_report=learned.by_report,
            now=learned.now,
            probe_at=_probe_at(row, rules, learned),
        )
    if _for_good(row, rules, learned, error):
        await events.message_failed(tx, row.message_id, error_code=code, meaning=explain(code))
    if error.effect is Effect.OPTED_OUT:
        await refused_as_opted_out(tx, row, code)
    if error.effect is Effect.LANDLINE and code in LANDLINE_FOR_SURE and row.contact_id:
        await sending.set_line_type(tx, row.contact_id, LineType.LANDLINE, only_if_unknown=True)
    if not row.latest:
        return as_it_stands(row)
    if not learned.by_report:
        await outcomes.set_message(
            tx, row.message_id, status=MessageStatus.REFUSED.value, error_code=code
        )
    if row.step is None or row.enrollment_id is None:
        return await _one_off_failed(tx, row, rules, learned, error)
    if row.status is None or row.status.is_final:
        return as_it_stands(row)
    return await _step_failed(tx, row, rules, learned, error)


def _probe_at(row: AttemptRow, rules: SendingRules, learned: Learned) -> datetime:
    """When a sender that is on hold, or is being put on hold, is tried next."""
    held_at = row.sender_held_at or learned.now
    return next_probe(held_at, learned.now, every=rules.probe_interval)


async def _mark_failed(
    tx: Transaction, row: AttemptRow, learned: Learned, code: int | None, http_status: int | None
) -> AttemptRow:
    """Note the failure; answers the row with the step last sent as it is now."""
    if learned.by_report:
        await outcomes.set_attempt(tx, row.attempt_id, reported_failed=True, error_code=code)
        if row.enrollment_id is not None:
            sent = await enrollments.recount_steps(tx, row.enrollment_id)
            return replace(row, steps_sent=sent)
        return row
    await outcomes.set_attempt(
        tx,
        row.attempt_id,
        outcome=AttemptOutcome.REFUSED.value,
        error_code=code,
        http_status=http_status,
        answered_at=learned.now,
    )
    return row


def _for_good(row: AttemptRow, rules: SendingRules, learned: Learned, error: ProviderError) -> bool:
    """Whether a text that failed is not tried again by itself."""
    one_off = row.step is None or row.enrollment_id is None
    if not row.latest:
        return False
    if learned.by_report if one_off else row.status is None or row.status.is_final:
        return True
    if error.effect is Effect.TRANSIENT:
        return row.failed_tries + 1 >= rules.max_attempts
    if error.effect is Effect.HOLD_ENROLLMENT:
        return one_off
    return error.effect is not Effect.HOLD_SENDER


async def _step_failed(
    tx: Transaction,
    row: AttemptRow,
    rules: SendingRules,
    learned: Learned,
    error: ProviderError,
) -> EnrollmentState:
    """What a failed step means for its enrollment."""
    assert row.enrollment_id is not None  # noqa: S101 - the caller looked
    code = error.code or None
    match error.effect:
        case Effect.OPTED_OUT:
            status = await enrollments.status_of(tx, row.enrollment_id)
            return _ended(row, status or EnrollmentStatus.OPTED_OUT)
        case Effect.LANDLINE:
            return await _end(tx, row, learned, EnrollmentStatus.OMITTED_LANDLINE, code)
        case Effect.PERMANENT | Effect.UNKNOWN:
            return await _end(tx, row, learned, EnrollmentStatus.FAILED, code)
        case Effect.TRANSIENT:
            return await _try_again(tx, row, rules, learned, error)
        case Effect.HOLD_SENDER:
            # Its workflow comes back to try the sender, if nobody was quicker.
            again_at = _probe_at(row, rules, learned) + EARLY_TOLERANCE
            return await _hold(tx, row, learned, HeldReason.SENDER_ON_HOLD, code, again_at=again_at)
        case Effect.HOLD_ENROLLMENT:
            return await _hold(tx, row, learned, HeldReason.DESTINATION_NOT_ALLOWED, code)


async def refused_as_opted_out(tx: Transaction, row: AttemptRow, code: int | None) -> None:
    """Suppress a number that the provider says has opted out."""
    await opt_out(
        tx,
        Evidence(
            phone=row.phone,
            source=OptOutSource.PROVIDER_ERROR,
            occurred_at=row.started_at,
            attempt_id=row.attempt_id,
        ),
        sender_id=row.sender_id,
        enrollment_id=row.enrollment_id,
        error_code=code,
    )


async def _try_again(
    tx: Transaction,
    row: AttemptRow,
    rules: SendingRules,
    learned: Learned,
    error: ProviderError,
) -> EnrollmentState:
    """The same step again, before any later one, after a fitting wait; a bound, then failed."""
    tries = _tries(row, error)
    if tries >= rules.max_attempts:
        await outcomes.set_message(tx, row.message_id, failed_tries=tries)
        return await _end(tx, row, learned, EnrollmentStatus.FAILED, error.code or None)
    again_at = await _again_at(tx, row, rules, learned, error)
    return await send_again_at(tx, row, learned, again_at, tries=tries)


def _tries(row: AttemptRow, error: ProviderError) -> int:
    """How many attempts at the text failed that count."""
    return row.failed_tries + (error.wait is not Wait.THROTTLED)


async def _again_at(
    tx: Transaction, row: AttemptRow, rules: SendingRules, learned: Learned, error: ProviderError
) -> datetime:
    """When a text that failed for a passing reason is tried again."""
    if error.wait is Wait.THROTTLED:
        failed_so = await outcomes.times_throttled(tx, row.message_id)
    else:
        failed_so = _tries(row, error)
    jitter = random.random()  # noqa: S311 - no secret
    return retry_at(error, failed_so, learned.now, short=rules.retry_short, jitter=jitter)


async def send_again_at(
    tx: Transaction, row: AttemptRow, learned: Learned, again_at: datetime, *, tries: int
) -> EnrollmentState:
    """Have the same text tried again at a moment."""
    await outcomes.set_message(tx, row.message_id, failed_tries=tries, next_try_at=again_at)
    if row.step is None or row.enrollment_id is None:
        return EnrollmentState(
            doing=EnrollmentPhase.WAITING,
            status=MessageStatus.PENDING,
            due_at=again_at,
            sender_id=str(row.sender_id),
        )
    moved = await enrollments.retry_step(
        tx, row.enrollment_id, row.step, again_at, at=learned.now, signal=learned.signal
    )
    if not moved:
        return await _overtaken(tx, row)
    return _moved(row, doing=EnrollmentPhase.WAITING, due_at=again_at)


async def _hold(
    tx: Transaction,
    row: AttemptRow,
    learned: Learned,
    reason: HeldReason,
    code: int | None,
    *,
    again_at: datetime | None = None,
) -> EnrollmentState:
    """The enrollment stays active and waits: for the sender, or for a person."""
    assert row.enrollment_id is not None  # noqa: S101 - the caller looked
    assert row.step is not None  # noqa: S101 - the caller looked
    held = await enrollments.hold_step(
        tx, row.enrollment_id, row.step, reason, code, at=learned.now, signal=learned.signal
    )
    if not held:
        return await _overtaken(tx, row)
    return EnrollmentState(
        doing=EnrollmentPhase.HELD,
        status=EnrollmentStatus.ACTIVE,
        due_at=again_at,
        step=row.steps_sent,
        step_count=row.step_count,
        sender_id=str(row.sender_id),
        held_reason=reason,
    )


async def hold_unknown(tx: Transaction, row: AttemptRow, learned: Learned) -> EnrollmentState:
    """Nothing proves what became of the attempt: a person decides."""
    if row.step is None or row.enrollment_id is None:
        await outcomes.set_attempt(tx, row.attempt_id, outcome=AttemptOutcome.ASSUMED_SENT.value)
        await outcomes.set_message(tx, row.message_id, status=MessageStatus.UNKNOWN.value)
        return EnrollmentState(doing="ended", status=MessageStatus.UNKNOWN)
    return await _hold(tx, row, learned, HeldReason.OUTCOME_UNKNOWN, None)


async def _one_off_failed(
    tx: Transaction,
    row: AttemptRow,
    rules: SendingRules,
    learned: Learned,
    error: ProviderError,
) -> EnrollmentState:
    """A one-off text waits out what passes; anything else is its end, never its enrollment's."""
    tries = _tries(row, error)
    if not learned.by_report:
        if error.effect is Effect.TRANSIENT and tries < rules.max_attempts:
            again_at = await _again_at(tx, row, rules, learned, error)
            return await send_again_at(tx, row, learned, again_at, tries=tries)
        if error.effect is Effect.HOLD_SENDER:
            again_at = _probe_at(row, rules, learned)
            return await send_again_at(tx, row, learned, again_at, tries=row.failed_tries)
    await sending.settle_message(
        tx, row.message_id, MessageStatus.FAILED, error_code=error.code or None
    )
    return EnrollmentState(doing="ended", status=MessageStatus.FAILED)


async def _end(
    tx: Transaction,
    row: AttemptRow,
    learned: Learned,
    status: EnrollmentStatus,
    code: int | None,
) -> EnrollmentState:
    assert row.enrollment_id is not None  # noqa: S101 - the caller looked
    one = row.enrollment_id
    ended = await enrollments.end(tx, [one], status, signal=learned.signal, error_code=code)
    return _ended(row, ended.get(one) or await enrollments.status_of(tx, one) or status)


def _ended(row: AttemptRow, status: EnrollmentStatus) -> EnrollmentState:
    return EnrollmentState(
        doing="ended",
        status=status,
        step=row.steps_sent,
        step_count=row.step_count,
        sender_id=str(row.sender_id),
    )


def as_it_stands(row: AttemptRow) -> EnrollmentState:
    """Nothing changed for the enrollment: its row says what is next."""
    if row.step is None or row.activity is None:
        reached = row.message_status if row.step is None else row.status
        return EnrollmentState(
            doing="ended", status=reached or "gone", step=row.steps_sent, step_count=row.step_count
        )
    return EnrollmentState(
        doing=row.activity,
        status=EnrollmentStatus.ACTIVE,
        due_at=row.next_event_at,
        step=row.steps_sent,
        step_count=row.step_count,
        sender_id=str(row.sender_id),
        held_reason=row.held_reason,
    )
