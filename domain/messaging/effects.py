"""What follows from news of an attempt, as data; ``services.messaging.applying`` writes it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict
from uuid import UUID

from domain.enrollments.next_event import NextEvent
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus


class AttemptChange(TypedDict, total=False):
    """The columns of the attempt that change."""

    outcome: AttemptOutcome
    answered_at: datetime
    absent_once_at: datetime
    provider_sid: str | None
    provider_status: MessageStatus
    from_phone: str
    reported_failed: bool
    error_code: int | None
    http_status: int | None


class MessageChange(TypedDict, total=False):
    """The columns of its text that change."""

    status: MessageStatus
    error_code: int | None
    next_try_at: datetime | None
    occurred_at: datetime
    failed_tries: int


@dataclass(frozen=True)
class PutOnHold:
    """Put the sender on hold, or keep it there; the first reason stands, the next probe moves."""

    code: int | None
    from_report: bool
    probe_at: datetime


@dataclass(frozen=True)
class EndHold:
    """Take the sender off hold if it was put there before a text that it proved able to send."""

    proven_at: datetime


@dataclass(frozen=True)
class RecordSent:
    """Move an enrollment past the step whose text was accepted, if it is still at it.

    Attributes:
        following: What it waits for next.
        at: When the text was accepted.
        ends_as: The final status of one that has nothing left to wait for.
    """

    enrollment_id: UUID
    step: int
    pass_number: int
    following: NextEvent
    at: datetime
    ends_as: EnrollmentStatus | None = None


@dataclass(frozen=True)
class RecordText:
    """Note that a text of an enrollment went out, whatever its status; step 0 for a one-off."""

    enrollment_id: UUID
    step: int
    at: datetime


@dataclass(frozen=True)
class RecountSteps:
    """Count the step last *sent* again, since a text turned out to have failed."""

    enrollment_id: UUID


@dataclass(frozen=True)
class RetryStep:
    """Move an enrollment back to a step whose text goes again at a moment."""

    enrollment_id: UUID
    step: int
    next_send_at: datetime


@dataclass(frozen=True)
class HoldStep:
    """Move an enrollment back to a step, to wait for its sender or for a person."""

    enrollment_id: UUID
    step: int
    reason: HeldReason
    code: int | None = None


@dataclass(frozen=True)
class End:
    """Give an enrollment a final status, or the one that the row makes of it.

    ``omitted_landline`` becomes ``failed`` if anything was delivered.
    """

    enrollment_id: UUID
    status: EnrollmentStatus
    code: int | None = None


Transition = RecordSent | RecordText | RecountSteps | RetryStep | HoldStep | End


@dataclass(frozen=True)
class MessageEvent:
    """What other programs are told about the text; the code goes with ``failed``."""

    kind: Literal["sent", "delivered", "failed", "canceled"]
    code: int | None = None


@dataclass(frozen=True)
class OptOut:
    """Suppress the number, as the provider says that it has opted out."""

    code: int | None


@dataclass(frozen=True)
class Reconcile:
    """The outcome must be proven: ask the provider for its list, no sooner than a moment."""

    at: datetime


@dataclass(frozen=True)
class Effects:
    """What follows from one piece of evidence.

    Each transition is guarded by the enrollment's row, which may have changed meanwhile.

    Attributes:
        answer: What the workflow does next, if every transition applied and no opt-out did.
        shows_texts: What was seen of how the provider shows the sender's texts, if worth a note.
        transitions: Of the enrollment, in this order.
        signal: What the workflow is sent with the last of them; None if it is asking itself.
        may_be_doubled: The text went out twice if another attempt at it was accepted.
    """

    answer: EnrollmentState | Reconcile
    attempt: AttemptChange = field(default_factory=AttemptChange)
    message: MessageChange = field(default_factory=MessageChange)
    sender: tuple[PutOnHold | EndHold, ...] = ()
    shows_texts: bool | None = None
    events: tuple[MessageEvent, ...] = ()
    opt_out: OptOut | None = None
    is_landline: bool = False
    transitions: tuple[Transition, ...] = ()
    signal: str | None = None
    may_be_doubled: bool = False

    @property
    def is_about_the_text_alone(self) -> bool:
        """Whether they change the attempt and its text, and tell of a delivery, and no more."""
        others = (self.sender, self.transitions, self.opt_out, self.is_landline)
        return (
            not any(others)
            and self.shows_texts is None
            and not self.may_be_doubled
            and all(event.kind == "delivered" for event in self.events)
        )

    def then(self, later: "Effects") -> "Effects":
        """Return these effects followed by later ones, whose values and answer stand."""
        return Effects(
            answer=later.answer,
            attempt={**self.attempt, **later.attempt},
            message={**self.message, **later.message},
            sender=self.sender + later.sender,
            shows_texts=self.shows_texts if later.shows_texts is None else later.shows_texts,
            events=self.events + later.events,
            opt_out=later.opt_out or self.opt_out,
            is_landline=self.is_landline or later.is_landline,
            transitions=self.transitions + later.transitions,
            signal=later.signal or self.signal,
            may_be_doubled=self.may_be_doubled or later.may_be_doubled,
        )
