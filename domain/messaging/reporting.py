"""What follows from proof that the provider has a text, and from what it reports of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.enrollments.next_event import NextEvent
from domain.messaging.attempts import Attempt, OneOffAttempt, StepAttempt
from domain.messaging.effects import (
    AttemptChange,
    Effects,
    EndHold,
    MessageEvent,
    OptOut,
    RecordSent,
    RecordText,
    Transition,
)
from domain.messaging.failing import Failure, failed
from domain.platform.phones import is_toll_free
from domain.platform.provider_errors import Effect, ProviderError, classify_report
from domain.platform.rules import SendingRules
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.progress import DELIVERIES, FAILURES, higher

DELIVERY_REPORTED = "delivery_reported"
"""The signal for news that none of the workflow's own activities has asked for."""


@dataclass(frozen=True)
class Report:
    """The provider's word on a text that it has; no id where a person decided that it has it."""

    sid: str | None
    status: MessageStatus
    from_phone: str | None = None
    code: int | None = None

    def error(self, attempt: Attempt) -> ProviderError | None:
        """Return what went wrong, if the status says that something did."""
        phone = self.from_phone or attempt.sender_phone
        toll_free = phone is not None and is_toll_free(phone)
        return classify_report(self.status.value, self.code, toll_free_sender=toll_free)


def signal_of_proof(attempt: Attempt) -> str | None:
    """Tell a workflow that waits for a person, or for its text to be sent again.

    One that is still reconciling the attempt finds out by itself.
    """
    is_held = isinstance(attempt, StepAttempt) and attempt.held_reason is HeldReason.OUTCOME_UNKNOWN
    return DELIVERY_REPORTED if is_held or attempt.outcome.is_known else None


def accepted(
    attempt: Attempt,
    report: Report,
    now: datetime,
    rules: SendingRules,
    *,
    outcome: AttemptOutcome = AttemptOutcome.ACCEPTED,
    signal: str | None = None,
) -> tuple[Effects, Attempt]:
    """Return what follows from proof that the provider has the text, and the attempt then."""
    sid, status = attempt.provider_sid or report.sid, higher(attempt.provider_status, report.status)
    is_superseded = attempt.is_replaced and not attempt.is_latest
    if attempt.outcome is AttemptOutcome.ACCEPTED or is_superseded:
        known = Effects(attempt.state, attempt={"provider_sid": sid, "provider_status": status})
        return known, replace(attempt, provider_sid=sid, provider_status=status)
    change = AttemptChange(
        outcome=outcome,
        provider_sid=sid,
        provider_status=status,
        answered_at=attempt.answered_at or now,
    )
    if report.from_phone is not None:
        change["from_phone"] = report.from_phone
    at = attempt.started_at if attempt.outcome is AttemptOutcome.UNKNOWN else now
    frees_sender = not attempt.hold_from_report and _held_before(attempt)
    after = replace(
        attempt,
        outcome=outcome,
        provider_sid=sid,
        provider_status=status,
        message_status=status,
        sender_phone=report.from_phone or attempt.sender_phone,
        sender_held_at=None if frees_sender else attempt.sender_held_at,
    )
    events = () if attempt.outcome is AttemptOutcome.ASSUMED_SENT else (MessageEvent("sent"),)
    transitions, after = _move_on(after, at, now, rules)
    is_one_off = isinstance(attempt, OneOffAttempt)
    effects = Effects(
        EnrollmentState("ended", MessageStatus.ACCEPTED) if is_one_off else after.state,
        attempt=change,
        message={"status": status, "error_code": None, "next_try_at": None, "occurred_at": at},
        sender=(EndHold(attempt.started_at),) if frees_sender else (),
        events=events + _delivery_events(attempt, report.status),
        transitions=transitions,
        signal=signal,
    )
    return effects, after


def reported(
    attempt: Attempt, report: Report, now: datetime, rules: SendingRules, *, is_told: bool
) -> Effects:
    """Take a report for proof that the provider has the text, then for what it says.

    A workflow that is asking itself is not told of it by a signal (``is_told``).
    """
    effects, after = Effects(attempt.state), attempt
    if attempt.outcome is not AttemptOutcome.ACCEPTED:
        is_failure = report.status in FAILURES
        proof = replace(report, status=MessageStatus.ACCEPTED) if is_failure else report
        signal = signal_of_proof(attempt) if is_told else None
        effects, after = accepted(attempt, proof, now, rules, signal=signal)
    elif report.from_phone is not None:
        effects = replace(effects, attempt={"from_phone": report.from_phone})
    signal = DELIVERY_REPORTED if is_told else None
    return effects.then(_said(after, report, now, rules, signal))


def _said(
    attempt: Attempt, report: Report, now: datetime, rules: SendingRules, signal: str | None
) -> Effects:
    """Return what a report on an accepted text says of it; states only move up.

    A text that was delivered stays so, whatever comes after: between two last words the better
    one stands. Only an opt-out counts in any order.
    """
    top = higher(attempt.provider_status, report.status)
    effects = Effects(attempt.state)
    if top is not attempt.provider_status:
        effects = replace(effects, attempt={"provider_status": top})
        if attempt.is_latest or top in DELIVERIES:
            effects = replace(effects, message={"status": top, "error_code": report.code})
    error = report.error(attempt)
    if error is None:
        delivered = report.status in DELIVERIES
        return (
            effects.then(_delivered(attempt, report, now, rules, signal)) if delivered else effects
        )
    if top not in DELIVERIES and not attempt.reported_failed:
        failure = Failure(error, reported=top, signal=signal)
        return effects.then(failed(attempt, failure, now, rules))
    if error.effect is Effect.OPTED_OUT:
        return replace(effects, opt_out=OptOut(error.code or None))
    return effects


def _delivered(
    attempt: Attempt, report: Report, now: datetime, rules: SendingRules, signal: str | None
) -> Effects:
    """Return what follows from a delivery; a text that was reported failed is not sent again."""
    # Only this ends such a hold: 30034 and its like come after ``sent``.
    frees_sender = attempt.hold_from_report and _held_before(attempt)
    effects = Effects(
        attempt.state,
        sender=(EndHold(attempt.started_at),) if frees_sender else (),
        events=_delivery_events(attempt, report.status),
    )
    if not attempt.reported_failed or attempt.is_replaced:
        return effects
    last_sent_at = attempt.last_sent_at if isinstance(attempt, StepAttempt) else None
    transitions, after = _move_on(attempt, last_sent_at or attempt.started_at, now, rules)
    arrived = Effects(
        after.state,
        attempt={"reported_failed": False},
        message={"error_code": None, "next_try_at": None},
        transitions=transitions,
        signal=signal,
    )
    return effects.then(arrived)


def _move_on(
    attempt: Attempt, at: datetime, now: datetime, rules: SendingRules
) -> tuple[tuple[Transition, ...], Attempt]:
    """Move past an accepted text: to the next step, the reply window, or the end."""
    if isinstance(attempt, OneOffAttempt):
        of = attempt.enrollment_id
        return () if of is None else (RecordText(of, 0, at),), attempt
    sent = replace(attempt, steps_sent=max(attempt.steps_sent, attempt.step))
    if not attempt.is_current:
        return (RecordText(attempt.enrollment_id, attempt.step, at),), sent
    move = _next_of(attempt, at, now, rules)
    following = move.following
    if move.ends_as is not None:
        return (move,), replace(sent, status=move.ends_as, phase=None, next_event_at=None)
    is_last = following.reply_until is not None
    return (move,), replace(
        sent,
        phase=EnrollmentPhase.AWAITING_REPLY if is_last else EnrollmentPhase.WAITING,
        held_reason=None,
        position=following.position,
        next_event_at=following.next_send_at or following.reply_until,
    )


def _next_of(attempt: StepAttempt, at: datetime, now: datetime, rules: SendingRules) -> RecordSent:
    """Find what comes after a step; a remembered reply ends the enrollment after the last one."""
    step = attempt.next_step
    if step is None:
        raise ValueError("the step that comes next was not read")
    ends_as = None
    if step.position <= attempt.step_count:
        following = step.due(at, now, rules.workspace_zone)
    else:
        reply_until = at + timedelta(seconds=step.reply_window_seconds)
        following = NextEvent(step.position, reply_until=reply_until)
        if attempt.replied_at is not None:
            ends_as = EnrollmentStatus.FINISHED_RESPONDED
    return RecordSent(
        attempt.enrollment_id, attempt.step, attempt.pass_number, following, at, ends_as
    )


def _held_before(attempt: Attempt) -> bool:
    """Whether the sender went on hold before the attempt, which proves that it works again."""
    return attempt.sender_held_at is not None and attempt.sender_held_at < attempt.started_at


def _delivery_events(attempt: Attempt, status: MessageStatus) -> tuple[MessageEvent, ...]:
    is_news = status in DELIVERIES and attempt.provider_status not in DELIVERIES
    return (MessageEvent("delivered"),) if is_news else ()
