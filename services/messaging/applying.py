"""Writing what follows from what was learned about an attempt: read, interpret, apply."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from domain.messaging.absence import ListEvidence
from domain.messaging.attempts import Attempt, StepAttempt
from domain.messaging.effects import (
    Effects,
    End,
    HoldStep,
    MessageEvent,
    PutOnHold,
    Reconcile,
    RecordSent,
    RecordText,
    RecountSteps,
    RetryStep,
    Transition,
)
from domain.messaging.inbound import StatusReport
from domain.messaging.interpreting import Evidence, Scope, interpret, scope
from domain.messaging.ports import NextAction
from domain.platform.provider_errors import explain
from domain.platform.rules import SendingRules
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.suppression import OptOutSource
from services.messaging import reconciliation
from services.suppression import opt_outs
from services.suppression.erasure import recall
from storage.enrollments import enrollments, next_step, timeline
from storage.event_webhooks import events
from storage.messaging import attempts, holds, sending
from storage.messaging.attempts import Loaded
from storage.platform.database import Transaction
from storage.platform.locks import lock_enrollments_of
from storage.suppression.suppressions import Evidence as OptOutEvidence

_logger = logging.getLogger(__name__)

GONE = EnrollmentState(doing="ended", status="gone")
"""The row was erased."""


async def learn(
    tx: Transaction, loaded: Loaded | None, evidence: Evidence, rules: SendingRules
) -> NextAction:
    """Write all that follows from what was learned about an attempt; return what is next.

    The transaction holds the number's lock since before the attempt was read (None: it was erased).
    What a list is compared with is read here.
    """
    if loaded is None:
        return GONE
    attempt, now = loaded
    if isinstance(evidence, ListEvidence):
        evidence = await _compared(tx, attempt, evidence)
    attempt = await _lock(tx, attempt, evidence, now)
    effects = interpret(attempt, evidence, now, rules)
    return await apply(tx, attempt, effects, now, rules)


async def _compared(tx: Transaction, attempt: Attempt, evidence: ListEvidence) -> ListEvidence:
    """Read what a list is compared with, if it may prove anything."""
    if evidence.listing is None or attempt.outcome.is_known:
        return evidence
    sids = [text.sid for text in evidence.listing.texts]
    claimed = await attempts.claimed(tx, sids, attempt.id)
    return replace(evidence, claimed=claimed, rivals=await attempts.rivals(tx, attempt))


async def _lock(tx: Transaction, attempt: Attempt, evidence: Evidence, now: datetime) -> Attempt:
    """Lock what may change, in the order of ``storage.platform.locks``, and read what is needed."""
    needed = scope(attempt, evidence, now)
    if needed.contact and attempt.contact_id is not None:
        await attempts.lock_contact(tx, attempt.contact_id)
    if needed.timing and isinstance(attempt, StepAttempt):
        await next_step.lock(tx, attempt.enrollment_id)
    if needed.sender:
        await holds.lock_sender(tx, attempt.sender_id)
    if needed.enrollments:
        also = [attempt.enrollment_id] if attempt.enrollment_id is not None else []
        await lock_enrollments_of(tx, [attempt.phone], also=also)
    if not (needed.timing and isinstance(attempt, StepAttempt) and attempt.is_current):
        return attempt
    following = await next_step.find(
        tx, attempt.enrollment_id, start=attempt.step + 1, reached=attempt.steps_sent
    )
    return replace(attempt, next_step=following)


async def learn_of_texts(
    tx: Transaction,
    reports: Sequence[tuple[Loaded, StatusReport]],
    rules: SendingRules,
) -> Sequence[StatusReport]:
    """Write what follows from reports on different texts together; return those that it left out.

    These are the reports that change more than the text they are on: each must be learned alone,
    for it takes locks of its own. The transaction holds the numbers' locks since before the
    attempts were read.
    """
    news = list[tuple[Attempt, Effects]]()
    left = list[StatusReport]()
    for (attempt, now), report in reports:
        effects = None
        if scope(attempt, report, now) == Scope():
            effects = interpret(attempt, report, now, rules)
        if effects is not None and effects.is_about_the_text_alone:
            news.append((attempt, effects))
        else:
            left.append(report)
    await attempts.write(tx, news)
    await events.messages_delivered(tx, [one.message_id for one, new in news if new.events])
    return left


async def apply(
    tx: Transaction, attempt: Attempt, effects: Effects, now: datetime, rules: SendingRules
) -> NextAction:
    """Write effects in the order of the locks; return what is next by the rows as they are then.

    The transaction holds the locks that ``scope`` names; ``now`` is by the clock that dates
    attempts.
    """
    await attempts.write(tx, [(attempt, effects)])
    await _write_sender(tx, attempt, effects, now)
    for event in effects.events:
        await _tell(tx, attempt.message_id, event)
    if effects.is_landline and attempt.contact_id is not None:
        await sending.set_line_type(tx, attempt.contact_id, LineType.LANDLINE)
    is_as_foreseen = await _write_enrollment(tx, attempt, effects, now)
    if effects.may_be_doubled:
        await _tell_if_doubled(tx, attempt, now)
    if isinstance(effects.answer, Reconcile):
        return await reconciliation.question(tx, attempt, effects.answer.at, now, rules)
    if is_as_foreseen:
        return effects.answer
    reread = await attempts.load(tx, attempt.id)
    return GONE if reread is None else reread[0].state


async def _write_sender(tx: Transaction, attempt: Attempt, effects: Effects, now: datetime) -> None:
    if effects.shows_texts is not None:
        await holds.note_shown(tx, attempt.sender_id, shows_texts=effects.shows_texts)
    for change in effects.sender:
        if isinstance(change, PutOnHold):
            await holds.hold_sender(
                tx,
                attempt.sender_id,
                code=change.code,
                from_report=change.from_report,
                now=now,
                probe_at=change.probe_at,
            )
        else:
            await holds.end_hold(tx, attempt.sender_id, proven_at=change.proven_at)


async def _tell(tx: Transaction, message_id: UUID, event: MessageEvent) -> None:
    match event.kind:
        case "sent":
            await events.message_sent(tx, message_id)
        case "delivered":
            await events.messages_delivered(tx, [message_id])
        case "failed":
            meaning = explain(event.code)
            await events.message_failed(tx, message_id, error_code=event.code, meaning=meaning)
        case "canceled":
            await events.messages_canceled(tx, [message_id])


async def _write_enrollment(
    tx: Transaction, attempt: Attempt, effects: Effects, now: datetime
) -> bool:
    """Write the transitions and an opt-out; False if the row is not as the effects foresaw."""
    is_as_foreseen = True
    for index, transition in enumerate(effects.transitions, start=1):
        signal = effects.signal if index == len(effects.transitions) else None
        if not await _move(tx, transition, now, signal):
            is_as_foreseen = False
    if effects.opt_out is None:
        return is_as_foreseen
    evidence = OptOutEvidence(
        phone=attempt.phone,
        source=OptOutSource.PROVIDER_ERROR,
        occurred_at=attempt.started_at,
        attempt_id=attempt.id,
    )
    await recall(tx, [attempt.phone])
    await opt_outs.opt_out(
        tx,
        [evidence],
        sender_id=attempt.sender_id,
        enrollment_id=attempt.enrollment_id,
        error_code=effects.opt_out.code,
    )
    return False


async def _move(tx: Transaction, transition: Transition, now: datetime, signal: str | None) -> bool:
    """Write a transition; False if the enrollment has changed meanwhile, or ends otherwise."""
    one = transition.enrollment_id
    match transition:
        case RecordText(_, step, at):
            await enrollments.record_text(tx, one, step, at=at)
        case RecountSteps():
            await enrollments.recount_steps(tx, one)
        case RetryStep(_, step, at):
            return await enrollments.retry_step(tx, one, step, at, at=now, signal=signal)
        case HoldStep(_, step, reason, code):
            return await enrollments.hold_step(tx, one, step, reason, code, at=now, signal=signal)
        case End(_, status, code):
            ended = await enrollments.end(tx, [one], status, signal=signal, error_code=code)
            return ended.get(one) is status
        case RecordSent():
            return await _record_sent(tx, transition, signal)
    return True


async def _record_sent(tx: Transaction, sent: RecordSent, signal: str | None) -> bool:
    """Move an enrollment on; one that is elsewhere by now gets a note that the text went out."""
    moved = await enrollments.record_sent(
        tx,
        sent.enrollment_id,
        sent.step,
        sent.pass_number,
        sent.following,
        at=sent.at,
        signal=signal if sent.ends_as is None else None,
    )
    if not moved:
        await enrollments.record_text(tx, sent.enrollment_id, sent.step, at=sent.at)
    elif sent.ends_as is not None:
        await enrollments.end(tx, [sent.enrollment_id], sent.ends_as, signal=signal)
    return moved


async def _tell_if_doubled(tx: Transaction, attempt: Attempt, now: datetime) -> None:
    """Tell of a broken promise: an attempt declared absent is there, and so is another one."""
    if not await attempts.note_doubled(tx, attempt.message_id):
        return
    message_id = str(attempt.message_id)
    _logger.error("a text went out twice", extra={"message_id": message_id})
    if attempt.enrollment_id is not None:
        step = attempt.step if isinstance(attempt, StepAttempt) else None
        await timeline.note(
            tx, [attempt.enrollment_id], "doubled", at=now, message_id=message_id, step=step
        )
    await events.message_doubled(tx, attempt.message_id)
