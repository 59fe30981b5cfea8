"""What a workflow knows of its enrollment."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.statuses.enrollments import Need


@dataclass(frozen=True)
class EnrollmentState:
    """Where an enrollment stands, told to its workflow; ids and codes only.

    Attributes:
        doing: An ``EnrollmentPhase`` code, or ``ended``.
        due_at: The absolute UTC moment of the next event; None when blocked or ended.
        status: The ``EnrollmentStatus`` code.
        step: The step last sent, 0 for none.
        step_count: How many steps there are.
        sender_id: The sender the next text goes out from, the fairness key.
        held_reason: Why it is held, if it is.
        needs: What must be done now, before anything is waited for; None if nothing.
    """

    doing: str
    status: str
    due_at: datetime | None = None
    step: int = 0
    step_count: int = 0
    sender_id: str = ""
    held_reason: str | None = None
    needs: Need | None = None


@dataclass(frozen=True)
class NewEnrollment:
    """What a start needs to know of an enrollment; operators search by sequence and user."""

    enrollment_id: UUID
    sequence_id: UUID
    enrolled_by: UUID
    standing: EnrollmentState
