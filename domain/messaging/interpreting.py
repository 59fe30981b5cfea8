"""What follows from what was learned about an attempt? Interpreted from facts alone."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from domain.messaging.absence import Absent, ListEvidence, provable_from, weigh
from domain.messaging.attempts import Attempt, OneOffAttempt, StepAttempt
from domain.messaging.effects import Effects, MessageEvent, Reconcile
from domain.messaging.failing import Failure, end, failed, hold, send_again
from domain.messaging.inbound import StatusReport
from domain.messaging.ports import (
    Accepted,
    CanaryState,
    ListedMessage,
    NotCalled,
    OutcomeUnknown,
    Refused,
    SendResult,
)
from domain.messaging.reporting import Report, accepted, reported, signal_of_proof
from domain.platform.provider_errors import Effect, ProviderError, classify_answer
from domain.platform.rules import SendingRules
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from domain.statuses.progress import DELIVERIES, from_provider

LATE_WAIT = timedelta(seconds=2)
"""How long a text waits whose call came too late: at once, the next may come too late as well."""

SEEN_AGAIN = timedelta(days=1)
"""How often it is noted that the provider still shows a sender's texts as it did."""


class PersonDecision(Enum):
    """What a person decides about an attempt of unknown outcome."""

    SEND_AGAIN = auto()
    TREAT_AS_SENT = auto()


Evidence = SendResult | StatusReport | ListEvidence | PersonDecision
"""The answer to a call, a delivery report, a list of the provider's, a person's decision."""


@dataclass(frozen=True)
class Scope:
    """What a piece of evidence may change besides the text: it is locked first, in this order.

    Attributes:
        contact: The contact's line type.
        timing: What times the enrollment's next step; then ``StepAttempt.next_step`` is read.
        sender: Whether the sender is on hold.
        enrollments: Every active enrollment of the number.
    """

    contact: bool = False
    timing: bool = False
    sender: bool = False
    enrollments: bool = False


def scope(attempt: Attempt, evidence: Evidence, now: datetime) -> Scope:
    """Say what must be locked and read before evidence about an attempt is interpreted."""
    match evidence:
        case Accepted() | PersonDecision.TREAT_AS_SENT:
            return Scope(timing=isinstance(attempt, StepAttempt))
        case StatusReport():
            return _scope_of_report(attempt, _report(evidence))
        case Refused() if evidence.http_status and not attempt.outcome.is_known:
            error = classify_answer(evidence.http_status, evidence.code)
            return _scope_of_error(attempt, error, moves_on=False)
        case ListEvidence() if not attempt.outcome.is_known:
            found = weigh(attempt, evidence, now)
            if isinstance(found, ListedMessage):
                return _scope_of_report(attempt, _report(found))
        case Refused() | OutcomeUnknown() | NotCalled() | ListEvidence():
            pass
        case PersonDecision.SEND_AGAIN:
            pass
    return Scope()


def _scope_of_report(attempt: Attempt, report: Report) -> Scope:
    is_first_news = attempt.outcome is not AttemptOutcome.ACCEPTED
    moves_on = is_first_news or (attempt.reported_failed and report.status in DELIVERIES)
    return _scope_of_error(attempt, report.error(attempt), moves_on=moves_on)


def _scope_of_error(attempt: Attempt, error: ProviderError | None, *, moves_on: bool) -> Scope:
    effect = error.effect if error is not None else None
    return Scope(
        contact=effect is Effect.LANDLINE,
        timing=moves_on and isinstance(attempt, StepAttempt),
        sender=effect is Effect.HOLD_SENDER or attempt.sender_held_at is not None,
        enrollments=effect is Effect.OPTED_OUT,
    )


def interpret(attempt: Attempt, evidence: Evidence, now: datetime, rules: SendingRules) -> Effects:
    """Say what follows from what was learned about an attempt.

    Only proof that the provider has the text changes an outcome that is known. A failure that is
    the first news of a text follows its acceptance. All that ``scope`` names has been read, and
    ``now`` is by the clock that dates attempts.
    """
    match evidence:
        case Accepted():
            report = Report(evidence.sid, evidence.status, evidence.from_phone)
            signal = signal_of_proof(attempt)
            effects, _ = accepted(attempt, report, now, rules, signal=signal)
            shown = _worth_noting(attempt, now, shows_texts=evidence.is_intact)
            effects = replace(effects, shows_texts=shown)
        case StatusReport():
            effects = reported(attempt, _report(evidence), now, rules, is_told=True)
        case PersonDecision.TREAT_AS_SENT:
            report = Report(None, MessageStatus.ACCEPTED)
            outcome = AttemptOutcome.ASSUMED_SENT
            effects, _ = accepted(attempt, report, now, rules, outcome=outcome)
        case PersonDecision.SEND_AGAIN:
            return Effects(
                attempt.state,
                attempt={"outcome": AttemptOutcome.WRITTEN_OFF},
                message={"status": MessageStatus.PENDING},
            )
        case Refused() | OutcomeUnknown() | NotCalled() | ListEvidence() if (
            attempt.outcome.is_known
        ):
            return Effects(attempt.state)
        case Refused() | OutcomeUnknown() | NotCalled():
            return _not_accepted(attempt, evidence, now, rules)
        case ListEvidence():
            effects = _listed(attempt, evidence, now, rules)
    is_contradicted = attempt.outcome is AttemptOutcome.ABSENT or attempt.is_contradicted
    return replace(effects, may_be_doubled=is_contradicted)


def _report(evidence: StatusReport | ListedMessage) -> Report:
    status = evidence.status
    word = status if isinstance(status, MessageStatus) else from_provider(status)
    return Report(evidence.sid, word, evidence.from_phone, evidence.error_code)


def _not_accepted(
    attempt: Attempt,
    answer: Refused | OutcomeUnknown | NotCalled,
    now: datetime,
    rules: SendingRules,
) -> Effects:
    """Return what follows from an answer to a call that does not say that the text exists."""
    match answer:
        case NotCalled():
            return _not_sent(attempt, now, LATE_WAIT)
        case Refused(http_status=0):
            return _not_sent(attempt, now, rules.retry_short)
        case Refused():
            error = classify_answer(answer.http_status, answer.code)
            if error.effect is not Effect.UNKNOWN:
                return failed(attempt, Failure(error, answer.http_status), now, rules)
        case OutcomeUnknown():
            pass
    return Effects(
        Reconcile(max(provable_from(attempt, rules), now)),
        attempt={
            "outcome": AttemptOutcome.UNKNOWN,
            "http_status": answer.http_status,
            "error_code": answer.code,
        },
        message={"status": MessageStatus.UNKNOWN},
    )


def _not_sent(attempt: Attempt, now: datetime, wait: timedelta) -> Effects:
    """The call never left this process: the text is tried again, uncounted."""
    again = send_again(attempt, now + wait, attempt.failed_tries)
    return _absent(attempt, now).then(again)


def _absent(attempt: Attempt, now: datetime) -> Effects:
    return Effects(
        attempt.state,
        attempt={"outcome": AttemptOutcome.ABSENT, "answered_at": now},
        message={"status": MessageStatus.PENDING},
    )


def _listed(
    attempt: Attempt, evidence: ListEvidence, now: datetime, rules: SendingRules
) -> Effects:
    listing = evidence.listing
    match weigh(attempt, evidence, now):
        case ListedMessage() as found:
            effects = reported(attempt, _report(found), now, rules, is_told=False)
        case Absent(asked_at):
            effects = _not_listed(attempt, asked_at, now, rules)
        case None:
            effects = _not_provable(attempt, now, rules)
    if listing is None or listing.canary is not CanaryState.ALTERED:
        return effects
    if listing.canary_sender != attempt.sender_id:
        return effects
    return replace(effects, shows_texts=_worth_noting(attempt, now, shows_texts=False))


def _worth_noting(attempt: Attempt, now: datetime, *, shows_texts: bool) -> bool | None:
    """Return how the provider shows the sender's texts, if that is new or was noted long ago.

    The last one counts: an account that hides numbers alters every text.
    """
    seen_at = attempt.shows_texts_at
    is_old = seen_at is None or now - seen_at > SEEN_AGAIN
    return shows_texts if is_old or attempt.shows_texts is not shows_texts else None


def _not_listed(
    attempt: Attempt, asked_at: datetime, now: datetime, rules: SendingRules
) -> Effects:
    """Take one list without the text for a hint, two for proof.

    The first counts from when it is recorded, which is later than it was asked for, the second from
    when it was asked for: whoever asks may be stopped in between for any time.
    """
    provable_at = provable_from(attempt, rules)
    if asked_at < provable_at:
        return Effects(Reconcile(max(provable_at, now)))
    if attempt.absent_once_at is None:
        return replace(_ask_again(attempt, now, rules), attempt={"absent_once_at": now})
    tries = attempt.failed_tries + 1
    if tries < rules.max_attempts:
        return _absent(attempt, now).then(send_again(attempt, now, tries))
    effects = replace(
        _absent(attempt, now),
        message={"status": MessageStatus.FAILED, "failed_tries": tries},
        events=(MessageEvent("failed"),),
    )
    if isinstance(attempt, OneOffAttempt) or attempt.status.is_final:
        return effects
    return effects.then(end(attempt, EnrollmentStatus.FAILED))


def _not_provable(attempt: Attempt, now: datetime, rules: SendingRules) -> Effects:
    """Ask again, until a person decides; nobody needs to once the enrollment is over."""
    is_over = isinstance(attempt, StepAttempt) and attempt.status.is_final
    if is_over or now - attempt.started_at <= rules.reconciliation_timeout:
        return _ask_again(attempt, now, rules)
    if isinstance(attempt, StepAttempt):
        return hold(attempt, HeldReason.OUTCOME_UNKNOWN)
    return Effects(
        EnrollmentState(doing="ended", status=MessageStatus.UNKNOWN),
        attempt={"outcome": AttemptOutcome.ASSUMED_SENT},
        message={"status": MessageStatus.UNKNOWN},
    )


def _ask_again(attempt: Attempt, now: datetime, rules: SendingRules) -> Effects:
    again_at = now + rules.absence_second_list
    return Effects(Reconcile(max(provable_from(attempt, rules), again_at)))
