"""Queries of one contact's enrollments."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from domain.statuses.enrollments import PauseReason
from domain.statuses.sequences import SequenceState
from storage.enrollments.enrollment_list import EnrollmentRow
from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.access import User
from storage.tables.enrollments import Enrollment
from storage.tables.sequences import Sequence


@dataclass(frozen=True, kw_only=True)
class ContactEnrollment(EnrollmentRow):
    """One enrollment of a contact."""

    sequence_id: UUID
    sequence_name: str
    sequence_state: SequenceState
    paused_reason: PauseReason | None
    ended_at: datetime | None


async def enrollments(tx: Transaction, contact_id: UUID, *, limit: int) -> list[ContactEnrollment]:
    """List a contact's enrollments, the latest first."""
    query = (
        select(
            *columns_of(
                ContactEnrollment,
                Enrollment,
                sequence_name=col(Sequence.name),
                sequence_state=col(Sequence.state),
                enrolled_by_id=col(Enrollment.enrolled_by),
                enrolled_by_name=col(User.name),
            )
        )
        .select_from(Enrollment)
        .join(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
        .join(User, col(User.id) == col(Enrollment.enrolled_by))
        .where(col(Enrollment.contact_id) == contact_id)
        .order_by(col(Enrollment.enrolled_at).desc(), col(Enrollment.id).desc())
        .limit(limit)
    )
    return await tx.rows(ContactEnrollment, query)
