"""Queries about one contact's past."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, select
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus
from domain.statuses.sequences import SequenceState
from storage.platform.database import Transaction
from storage.tables.access import User
from storage.tables.enrollments import Enrollment
from storage.tables.sequences import Sequence


class ContactEnrollmentRow(NamedTuple):
    """One enrollment of a contact."""

    id: UUID
    sequence_id: UUID
    sequence_name: str
    sequence_state: SequenceState
    status: EnrollmentStatus
    activity: EnrollmentPhase | None
    step: int
    step_count: int
    enrolled_by: UUID
    enrolled_by_name: str
    enrolled_at: datetime
    next_send_at: datetime | None
    ended_at: datetime | None


async def enrollments(
    tx: Transaction, contact_id: UUID, *, limit: int
) -> list[ContactEnrollmentRow]:
    """List a contact's enrollments, the latest first."""
    query: Select[*tuple[Any, ...]] = (
        select(
            col(Enrollment.id),
            col(Enrollment.sequence_id),
            col(Sequence.name),
            col(Sequence.state),
            col(Enrollment.status),
            col(Enrollment.activity),
            col(Enrollment.step),
            col(Enrollment.step_count),
            col(Enrollment.enrolled_by),
            col(User.name),
            col(Enrollment.enrolled_at),
            col(Enrollment.next_send_at),
            col(Enrollment.ended_at),
        )
        .join(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
        .join(User, col(User.id) == col(Enrollment.enrolled_by))
        .where(col(Enrollment.contact_id) == contact_id)
        .order_by(col(Enrollment.enrolled_at).desc(), col(Enrollment.id).desc())
        .limit(limit)
    )
    return [ContactEnrollmentRow(*row) for row in await tx.execute(query)]
