"""Inputs, signals, query answers and results of the workflows.

Separate from the workflows, whose modules Temporal's sandbox imports again for every start.
"""

from dataclasses import dataclass
from datetime import datetime

from domain.statuses.enrollment_state import EnrollmentState


@dataclass(frozen=True)
class StartEnrollment:
    """Input of an enrollment's workflow, ids and times only: the row, its state, its page."""

    enrollment_id: str
    standing: EnrollmentState
    page_url: str = ""


@dataclass(frozen=True)
class EnrollmentResult:
    """How the enrollment ended: an ``EnrollmentStatus`` code, as its row says."""

    status: str


@dataclass(frozen=True)
class Ended:
    """Input of every signal: the row's status if it became final, else None."""

    status: str | None = None


@dataclass(frozen=True)
class Progress:
    """Answer of the query ``progress``; times are absolute UTC.

    Attributes:
        state: An ``EnrollmentPhase`` code, or the final ``EnrollmentStatus``.
        step: The step last sent, 0 for none.
        next_due_at: When it acts next; None when blocked, under way or ended.
        held_reason: Why it is held, or None.
    """

    state: str
    step: int
    step_count: int
    next_due_at: datetime | None
    held_reason: str | None = None


@dataclass(frozen=True)
class StartMessage:
    """Input of a one-off text's workflow; ids only."""

    message_id: str
    sender_id: str = ""


@dataclass(frozen=True)
class StartJob:
    """Input of a job's workflow."""

    job_id: str


@dataclass(frozen=True)
class StartEventDelivery:
    """Input of the workflow that delivers events to an endpoint."""

    endpoint_id: str
