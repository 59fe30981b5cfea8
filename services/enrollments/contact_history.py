"""One contact's enrollments."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from services.enrollments.enrollment_list import shown_activity
from storage.enrollments import contact_history as rows
from storage.enrollments.contact_history import ContactEnrollment
from storage.platform.database import Database

ENROLLMENTS_MOST = 50


class ContactHistory:
    """Reads a contact's enrollments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def enrollments(self, contact_id: UUID) -> Sequence[ContactEnrollment]:
        """List a contact's enrollments, the latest first, at most ``ENROLLMENTS_MOST``."""
        async with self._database.transaction() as tx:
            found = await rows.enrollments(tx, contact_id, limit=ENROLLMENTS_MOST)
        return [
            replace(row, activity=shown_activity(row.activity, row.sequence_state)) for row in found
        ]
