"""Where one contact was enrolled, and how each enrollment stands."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus
from services.enrollments.enrollment_list import UserName, shown_activity
from storage.enrollments import contact_history as rows
from storage.platform.database import Database

ENROLLMENTS_MOST = 50
"""Most enrollments that are listed, the latest."""


@dataclass(frozen=True)
class ContactEnrollment:
    """One enrollment of a contact.

    Attributes:
        activity: What an active one is doing; None when final.
        step: The step last sent, 0 for none.
        next_send_at: When the next text goes, if one does.
    """

    id: UUID
    sequence_id: UUID
    sequence_name: str
    status: EnrollmentStatus
    activity: EnrollmentPhase | None
    step: int
    step_count: int
    enrolled_by: UserName
    enrolled_at: datetime
    next_send_at: datetime | None
    ended_at: datetime | None


class ContactHistory:
    """The use case of looking back at one contact."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enrollments(self, contact_id: UUID) -> Sequence[ContactEnrollment]:
        """List a contact's latest enrollments, the latest first."""
        async with self._database.transaction() as tx:
            found = await rows.enrollments(tx, contact_id, limit=ENROLLMENTS_MOST)
        return [
            ContactEnrollment(
                id=row.id,
                sequence_id=row.sequence_id,
                sequence_name=row.sequence_name,
                status=row.status,
                activity=shown_activity(row.activity, row.sequence_state),
                step=row.step,
                step_count=row.step_count,
                enrolled_by=UserName(row.enrolled_by, row.enrolled_by_name),
                enrolled_at=row.enrolled_at,
                next_send_at=row.next_send_at,
                ended_at=row.ended_at,
            )
            for row in found
        ]
