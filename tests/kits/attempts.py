"""Attempts as plain values, and what may be learned about them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.enrollments.next_step import NextStep
from domain.messaging.absence import ListEvidence
from domain.messaging.attempts import Attempt, OneOffAttempt, StepAttempt
from domain.messaging.effects import (
    Effects,
    End,
    HoldStep,
    RetryStep,
    Transition,
)
from domain.messaging.inbound import StatusReport
from domain.messaging.interpreting import (
    Evidence,
    interpret,
)
from domain.messaging.ports import (
    Accepted,
    CanaryState,
    ListedMessage,
    Listing,
    Refused,
)
from domain.platform.rules import SendingRules
from domain.sequences.sending_hours import ANY_TIME
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus

NOW = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (
    timedelta(seconds=1),
    timedelta(minutes=1),
    timedelta(hours=1),
    timedelta(days=1),
)
RULES = SendingRules()
ENROLLMENT, MESSAGE, ATTEMPT, SENDER, CONTACT, OTHER = (UUID(int=one << 64) for one in range(1, 7))
PHONE = "+12125550100"
STARTED = NOW - SECOND
FAILED, NO_ROUTE, LANDLINE, QUEUE_FULL, UNREGISTERED, REGION, OPTED_OUT = (
    21211,
    30008,
    21635,
    21611,
    30034,
    21408,
    21610,
)
"""A code of each effect, and one that leaves it open whether the text arrived."""

SECOND_STEP = NextStep(
    position=2,
    delay_seconds=3600,
    at_time=None,
    send_at=None,
    phone=PHONE,
    time_zone="America/New_York",
    country=None,
    state=None,
    postal_code=None,
    hours=ANY_TIME,
    reply_window_seconds=86_400,
)
NO_STEP = replace(SECOND_STEP, position=4)

ONE_OFF = OneOffAttempt(
    id=ATTEMPT,
    outcome=AttemptOutcome.OPEN,
    started_at=STARTED,
    call_before=STARTED + timedelta(seconds=5),
    message_id=MESSAGE,
    message_status=MessageStatus.SENDING,
    phone=PHONE,
    contact_id=CONTACT,
    body="Hello",
    sender_id=SENDER,
    sender_phone="+14155550142",
    enrollment_id=ENROLLMENT,
)
STEP = StepAttempt(
    id=ATTEMPT,
    outcome=AttemptOutcome.OPEN,
    started_at=STARTED,
    call_before=STARTED + timedelta(seconds=5),
    message_id=MESSAGE,
    message_status=MessageStatus.SENDING,
    phone=PHONE,
    contact_id=CONTACT,
    body="Hello",
    sender_id=SENDER,
    sender_phone="+14155550142",
    enrollment_id=ENROLLMENT,
    step=1,
    pass_number=1,
    status=EnrollmentStatus.ACTIVE,
    phase=EnrollmentPhase.SENDING,
    position=1,
    enrollment_pass=1,
    steps_sent=0,
    step_count=3,
    next_step=SECOND_STEP,
)
LAST_STEP = replace(STEP, step=3, position=3, steps_sent=2, next_step=NO_STEP)
TAKEN = replace(
    STEP,
    outcome=AttemptOutcome.ACCEPTED,
    provider_sid="SM1",
    provider_status=MessageStatus.SENT,
    message_status=MessageStatus.SENT,
    phase=EnrollmentPhase.WAITING,
    position=2,
    steps_sent=1,
)
"""The first step's text as it is once the provider has it."""
ONE_OFF_TAKEN = replace(
    ONE_OFF,
    outcome=AttemptOutcome.ACCEPTED,
    provider_sid="SM1",
    provider_status=MessageStatus.SENT,
    message_status=MessageStatus.SENT,
)
OVER: dict[str, Any] = {"status": EnrollmentStatus.FINISHED_STOPPED, "phase": None}
OVERTAKEN: dict[str, Any] = {"is_latest": False, "is_replaced": True}
UNPROVEN: dict[str, Any] = {
    "outcome": AttemptOutcome.UNKNOWN,
    "message_status": MessageStatus.UNKNOWN,
    "started_at": NOW - 10 * MINUTE,
    "call_before": NOW - 10 * MINUTE + timedelta(seconds=5),
}
HELD: dict[str, Any] = {
    **UNPROVEN,
    "phase": EnrollmentPhase.HELD,
    "held_reason": HeldReason.OUTCOME_UNKNOWN,
}


def accepted(**changes: Any) -> Accepted:
    return replace(Accepted("SM1", MessageStatus.QUEUED), **changes)


def refused(code: int) -> Refused:
    return Refused(400, code)


def report(word: str, code: int | None = None, **changes: Any) -> StatusReport:
    return replace(StatusReport("SM1", word, code, ATTEMPT, None), **changes)


def listing(*texts: ListedMessage, **changes: Any) -> ListEvidence:
    return ListEvidence(replace(Listing(NOW, texts, CanaryState.INTACT, SENDER), **changes))


def listed(word: MessageStatus, code: int | None = None) -> ListedMessage:
    return ListedMessage("SM1", "Hello", word, NOW, code)


def follows(attempt: Attempt, evidence: Evidence) -> Effects:
    return interpret(attempt, evidence, NOW, RULES)


GAP = timedelta(minutes=30)
PROBE = timedelta(seconds=10)
Fate = tuple[int, tuple[Transition, ...]]
OF_STEP: list[Fate] = [
    (FAILED, (End(ENROLLMENT, EnrollmentStatus.FAILED, FAILED),)),
    (NO_ROUTE, (End(ENROLLMENT, EnrollmentStatus.FAILED, NO_ROUTE),)),
    (LANDLINE, (End(ENROLLMENT, EnrollmentStatus.OMITTED_LANDLINE, LANDLINE),)),
    (QUEUE_FULL, (RetryStep(ENROLLMENT, 1, NOW + GAP),)),
    (UNREGISTERED, (HoldStep(ENROLLMENT, 1, HeldReason.SENDER_ON_HOLD, UNREGISTERED),)),
    (REGION, (HoldStep(ENROLLMENT, 1, HeldReason.DESTINATION_NOT_ALLOWED, REGION),)),
    (OPTED_OUT, ()),
]
