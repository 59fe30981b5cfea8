"""What follows from a text that failed, at once or in a later report."""

from dataclasses import dataclass, replace
from datetime import datetime

from domain.messaging.attempts import Attempt, OneOffAttempt, StepAttempt
from domain.messaging.effects import (
    AttemptChange,
    Effects,
    End,
    HoldStep,
    MessageChange,
    MessageEvent,
    OptOut,
    PutOnHold,
    RecountSteps,
    RetryStep,
)
from domain.platform.provider_errors import Effect, ProviderError, Wait, next_probe, retry_at
from domain.platform.rules import EARLY_TOLERANCE, SendingRules
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus

LANDLINE_FOR_SURE = frozenset({21635, 30006})
"""Codes that say landline; 21614 may also mean a number that is merely wrong."""


@dataclass(frozen=True)
class Failure:
    """How a text failed.

    Attributes:
        reported: The word that stands, if a report said so later.
        signal: What the workflow is sent; None if it is asking itself.
    """

    error: ProviderError
    http_status: int | None = None
    reported: MessageStatus | None = None
    signal: str | None = None

    @property
    def code(self) -> int | None:
        """The provider's code, if it gave one."""
        return self.error.code or None


def failed(attempt: Attempt, failure: Failure, now: datetime, rules: SendingRules) -> Effects:
    """Return what a failure does to the attempt, the number, the sender and the enrollment."""
    effect, code = failure.error.effect, failure.code
    is_reported = failure.reported is not None
    change: AttemptChange = {"reported_failed": True, "error_code": code}
    if not is_reported:
        change = {
            "outcome": AttemptOutcome.REFUSED,
            "error_code": code,
            "http_status": failure.http_status,
            "answered_at": now,
        }
    effects = Effects(
        attempt.state,
        attempt=change,
        opt_out=OptOut(code) if effect is Effect.OPTED_OUT else None,
        is_landline=effect is Effect.LANDLINE and code in LANDLINE_FOR_SURE,
    )
    if is_reported and attempt.enrollment_id is not None:
        effects = replace(effects, transitions=(RecountSteps(attempt.enrollment_id),))
    if effect is Effect.HOLD_SENDER:
        hold = PutOnHold(code, from_report=is_reported, probe_at=_probe_at(attempt, now, rules))
        effects = replace(effects, sender=(hold,))
    if not attempt.is_latest:
        return effects
    if _is_final(attempt, failure, rules):
        effects = replace(effects, events=(MessageEvent("failed", code),))
    if not is_reported:
        effects = replace(effects, message={"status": MessageStatus.REFUSED, "error_code": code})
    if isinstance(attempt, OneOffAttempt):
        return effects.then(_one_off_failed(attempt, failure, now, rules))
    if attempt.status.is_final:
        return effects
    return effects.then(_step_failed(attempt, failure, now, rules))


def _is_final(attempt: Attempt, failure: Failure, rules: SendingRules) -> bool:
    """Whether a text that failed is not tried again by itself."""
    if isinstance(attempt, StepAttempt):
        is_one_off, is_over = False, attempt.status.is_final
    else:
        is_one_off, is_over = True, failure.reported is not None
    if is_over:
        return True
    match failure.error.effect:
        case Effect.TRANSIENT:
            return _tries(attempt, failure.error) >= rules.max_attempts
        case Effect.HOLD_ENROLLMENT:
            return is_one_off
        case effect:
            return effect is not Effect.HOLD_SENDER


def _one_off_failed(
    attempt: OneOffAttempt, failure: Failure, now: datetime, rules: SendingRules
) -> Effects:
    """A one-off text waits out what passes; anything else is its end, never its enrollment's."""
    if _is_final(attempt, failure, rules):
        return Effects(
            EnrollmentState(doing="ended", status=MessageStatus.FAILED),
            message={
                "status": MessageStatus.FAILED,
                "error_code": failure.code,
                "next_try_at": None,
            },
        )
    if failure.error.effect is Effect.HOLD_SENDER:
        return send_again(attempt, _probe_at(attempt, now, rules), attempt.failed_tries)
    return _retry(attempt, failure, now, rules)


def _step_failed(
    attempt: StepAttempt, failure: Failure, now: datetime, rules: SendingRules
) -> Effects:
    """Return what a failed step means for its enrollment."""
    code, signal = failure.code, failure.signal
    match failure.error.effect:
        case Effect.OPTED_OUT:
            return Effects(attempt.state)  # the opt-out ends it
        case Effect.LANDLINE:
            return end(attempt, EnrollmentStatus.OMITTED_LANDLINE, code, signal)
        case Effect.PERMANENT | Effect.UNKNOWN:
            return end(attempt, EnrollmentStatus.FAILED, code, signal)
        case Effect.TRANSIENT if _is_final(attempt, failure, rules):
            counted = MessageChange(failed_tries=_tries(attempt, failure.error))
            return replace(end(attempt, EnrollmentStatus.FAILED, code, signal), message=counted)
        case Effect.TRANSIENT:
            return _retry(attempt, failure, now, rules)
        case Effect.HOLD_SENDER:
            # Its workflow comes back to try the sender, if nobody was quicker.
            again_at = _probe_at(attempt, now, rules) + EARLY_TOLERANCE
            return hold(attempt, HeldReason.SENDER_ON_HOLD, code, signal, again_at)
        case Effect.HOLD_ENROLLMENT:
            return hold(attempt, HeldReason.DESTINATION_NOT_ALLOWED, code, signal)


def _retry(attempt: Attempt, failure: Failure, now: datetime, rules: SendingRules) -> Effects:
    """Try a text that failed for a passing reason again after a fitting wait.

    The jitter is of the attempt's id, which is random: the same facts give the same moment.
    """
    error, tries = failure.error, _tries(attempt, failure.error)
    is_throttled = error.wait is Wait.THROTTLED
    times = attempt.throttled + (failure.http_status == 429) if is_throttled else tries
    jitter = attempt.id.int % 1024 / 1024
    at = retry_at(error, times, now, short=rules.retry_short, jitter=jitter)
    return send_again(attempt, at, tries, failure.signal)


def _tries(attempt: Attempt, error: ProviderError) -> int:
    """Count the attempts at the text that failed; one that was throttled does not count."""
    return attempt.failed_tries + (error.wait is not Wait.THROTTLED)


def _probe_at(attempt: Attempt, now: datetime, rules: SendingRules) -> datetime:
    """Return when a sender that is on hold, or is being put on hold, is tried next."""
    return next_probe(attempt.sender_held_at or now, now, every=rules.probe_interval)


def send_again(attempt: Attempt, at: datetime, tries: int, signal: str | None = None) -> Effects:
    """Try the same text again at a moment; what is canceled or over stays so."""
    message = MessageChange(failed_tries=tries, next_try_at=at)
    if isinstance(attempt, OneOffAttempt):
        if attempt.cancel_reason is not None:
            return _canceled()
        waiting = EnrollmentState(
            doing=EnrollmentPhase.WAITING,
            status=MessageStatus.PENDING,
            due_at=at,
            sender_id=str(attempt.sender_id),
        )
        return Effects(waiting, message=message)
    if attempt.status.is_final:
        return Effects(attempt.state, message=message)
    after = replace(attempt, phase=EnrollmentPhase.WAITING, held_reason=None, next_event_at=at)
    move = RetryStep(attempt.enrollment_id, attempt.step, at)
    return Effects(after.state, message=message, transitions=(move,), signal=signal)


def _canceled() -> Effects:
    """Cancel a text that proved not to have been sent, as somebody wanted meanwhile."""
    return Effects(
        EnrollmentState(doing="ended", status=MessageStatus.CANCELED),
        message={"status": MessageStatus.CANCELED, "error_code": None, "next_try_at": None},
        events=(MessageEvent("canceled"),),
    )


def hold(
    attempt: StepAttempt,
    reason: HeldReason,
    code: int | None = None,
    signal: str | None = None,
    again_at: datetime | None = None,
) -> Effects:
    """Keep the enrollment active and waiting: for a person, or to try its sender at a moment."""
    after = replace(attempt, phase=EnrollmentPhase.HELD, held_reason=reason, next_event_at=again_at)
    move = HoldStep(attempt.enrollment_id, attempt.step, reason, code)
    return Effects(after.state, transitions=(move,), signal=signal)


def end(
    attempt: StepAttempt,
    status: EnrollmentStatus,
    code: int | None = None,
    signal: str | None = None,
) -> Effects:
    """Give the enrollment a final status."""
    after = replace(attempt, status=status, phase=None, held_reason=None, next_event_at=None)
    move = End(attempt.enrollment_id, status, code)
    return Effects(after.state, transitions=(move,), signal=signal)
