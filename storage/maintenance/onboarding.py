"""The query behind the checklist of a new workspace."""

from dataclasses import dataclass
from uuid import UUID

from domain.access.preferences import Preference
from storage.platform.database import Transaction


@dataclass(frozen=True)
class FirstSteps:
    """What there is in a workspace already.

    ``sequence_id`` is the latest active sequence's, the latest one's if none is active.
    """

    has_sender: bool
    has_contact: bool
    has_enrollment: bool
    sequence_id: UUID | None

    @property
    def are_done(self) -> bool:
        """Whether nothing is left to do."""
        has_sequence = self.sequence_id is not None
        return self.has_sender and self.has_contact and has_sequence and self.has_enrollment


async def first_steps(tx: Transaction, user_id: UUID) -> FirstSteps | None:
    """Read what there is; None for a user who dismissed the checklist."""
    sql = """
        SELECT EXISTS (SELECT FROM senders) AS has_sender,
            EXISTS (SELECT FROM contacts) AS has_contact,
            EXISTS (SELECT FROM enrollments) AS has_enrollment,
            (
                SELECT id FROM sequences ORDER BY state <> 'active', created_at DESC, id LIMIT 1
            ) AS sequence_id
        WHERE NOT EXISTS (
            SELECT FROM preferences WHERE user_id = :user_id AND name = :dismissed
        )
    """
    dismissed = Preference.CHECKLIST_DISMISSED
    return await tx.one(FirstSteps, sql, user_id=user_id, dismissed=dismissed)
