"""One call to the provider, with all that bears on what follows from news of it."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.enrollments.next_step import NextStep
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, CancelReason, MessageStatus


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    """What is known about any attempt, its text and its sender.

    Attributes:
        started_at: When the attempt was committed.
        call_before: The call never begins later.
        answered_at: When the outcome became known.
        absent_once_at: When a first list was recorded that does not show the text.
        provider_sid: The provider's id of the text.
        provider_status: The provider's last word on it.
        reported_failed: The provider took the text, then reported that it failed.
        is_latest: No newer attempt at the text exists.
        is_replaced: Another attempt at the text is open, unknown, or was accepted without failing.
        is_contradicted: Another attempt was declared absent and then found at the provider.
        throttled: How many attempts at the text the provider answered with 429.
        phone: The number it went to.
        contact_id: Whose number; None if erased.
        failed_tries: How many attempts at it failed that count.
        sender_phone: The number it went out from, as far as known.
        sender_held_at: Since when the sender is on hold; None if it is not.
        hold_from_report: A delivery report put the sender on hold, not the answer to a call.
        shows_texts: Whether the provider shows the sender's texts as they were handed over.
        shows_texts_at: When that was last seen.
    """

    id: UUID
    outcome: AttemptOutcome
    started_at: datetime
    call_before: datetime
    answered_at: datetime | None = None
    absent_once_at: datetime | None = None
    provider_sid: str | None = None
    provider_status: MessageStatus | None = None
    reported_failed: bool = False
    is_latest: bool = True
    is_replaced: bool = False
    is_contradicted: bool = False
    throttled: int = 0
    message_id: UUID
    message_status: MessageStatus
    phone: str
    contact_id: UUID | None
    body: str
    failed_tries: int = 0
    sender_id: UUID
    sender_phone: str | None = None
    sender_held_at: datetime | None = None
    hold_from_report: bool = False
    shows_texts: bool | None = None
    shows_texts_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class OneOffAttempt(_Attempt):
    """An attempt at a text outside any step, perhaps sent from an enrollment.

    ``cancel_reason``: the text was canceled while the attempt was under way.
    """

    enrollment_id: UUID | None = None
    cancel_reason: CancelReason | None = None

    @property
    def state(self) -> EnrollmentState:
        """Return what a workflow is told if nothing changes."""
        return EnrollmentState(doing="ended", status=self.message_status)


@dataclass(frozen=True, kw_only=True)
class StepAttempt(_Attempt):
    """An attempt at the text of a step, and the enrollment.

    Attributes:
        step: The text's step.
        pass_number: The text's pass.
        phase: What it is doing; None when it is final.
        position: The step it is at.
        enrollment_pass: The pass it is in.
        steps_sent: The step last *sent*.
        replied_at: When the contact replied, if a reply is remembered.
        next_event_at: When its next text goes, or its reply window ends.
        last_sent_at: If the text was reported failed: when the latest step was accepted that did
            not fail, this one included.
        next_step: What comes after the step; read if ``scope`` says that it may move on.
    """

    enrollment_id: UUID
    step: int
    pass_number: int
    status: EnrollmentStatus
    phase: EnrollmentPhase | None
    held_reason: HeldReason | None = None
    position: int
    enrollment_pass: int
    steps_sent: int
    step_count: int
    replied_at: datetime | None = None
    next_event_at: datetime | None = None
    last_sent_at: datetime | None = None
    next_step: NextStep | None = None

    @property
    def is_current(self) -> bool:
        """Whether the active enrollment is at this text."""
        at_it = (self.step, self.pass_number) == (self.position, self.enrollment_pass)
        return at_it and not self.status.is_final

    @property
    def state(self) -> EnrollmentState:
        """Return where the enrollment stands."""
        return EnrollmentState(
            doing=self.phase or "ended",
            status=self.status,
            due_at=self.next_event_at,
            step=self.steps_sent,
            step_count=self.step_count,
            sender_id=str(self.sender_id),
            held_reason=self.held_reason,
        )


Attempt = OneOffAttempt | StepAttempt


@dataclass(frozen=True)
class LastAttempt:
    """The latest attempt at a text.

    ``phone`` and ``sender_id`` are those it was made with: the contact's may be others by now.
    """

    id: UUID
    phone: str
    sender_id: UUID
    outcome: AttemptOutcome
    number: int
    started_at: datetime
    call_before: datetime
    absent_once_at: datetime | None
