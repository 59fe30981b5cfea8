"""What workflows are started with, told, asked and answer.

Apart from the workflows, whose modules Temporal's sandbox runs anew for every start.
"""

from dataclasses import dataclass
from datetime import datetime

from domain.statuses.enrollment_state import EnrollmentState


@dataclass(frozen=True)
class StartEnrollment:
    """What starts an enrollment; ids and times only.

    Attributes:
        enrollment_id: The row.
        standing: Where the row stands now.
        page_url: The enrollment's page, for operators.
    """

    enrollment_id: str
    standing: EnrollmentState
    page_url: str = ""


@dataclass(frozen=True)
class EnrollmentResult:
    """How the enrollment ended: an ``EnrollmentStatus`` code, as its row says."""

    status: str


@dataclass(frozen=True)
class Ended:
    """What a signal tells: the status that the row now has if it became final, else None."""

    status: str | None = None


@dataclass(frozen=True)
class Progress:
    """What the enrollment is doing; times are absolute UTC.

    Attributes:
        state: An ``EnrollmentPhase`` code, or the final ``EnrollmentStatus``.
        step: The step last sent, 0 for none.
        step_count: How many steps there are.
        next_due_at: What it waits for; None when blocked, under way or ended.
        held_reason: Why a person must decide, if one must.
    """

    state: str
    step: int
    step_count: int
    next_due_at: datetime | None
    held_reason: str | None = None


@dataclass(frozen=True)
class StartMessage:
    """What starts a one-off text; ids only."""

    message_id: str
    sender_id: str = ""


@dataclass(frozen=True)
class StartJob:
    """What starts work in the background; its id only."""

    job_id: str


@dataclass(frozen=True)
class StartEventDelivery:
    """What starts the deliveries to one endpoint; its id only."""

    endpoint_id: str
