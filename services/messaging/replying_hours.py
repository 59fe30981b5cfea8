"""Whether it is a decent hour to text a contact by hand."""

from datetime import datetime
from uuid import UUID

from domain.messaging.quiet_hours import QuietHours, quiet_hours
from domain.platform.errors import required
from domain.sequences.timing import ContactClock
from storage.messaging import conversations
from storage.platform.database import Database


class ReplyingHours:
    """Reads contacts' hours; ``workspace_zone`` is of a workspace that has set none."""

    def __init__(self, database: Database, *, workspace_zone: str) -> None:
        self._database = database
        self._zone = workspace_zone

    async def quiet(self, contact_id: UUID, now: datetime) -> QuietHours | None:
        """Tell whether a contact had better not be texted now, and until when; None if they may.

        Their hours are those of the sequence that they are active in, the latest if there are
        several; else the careful default. They forbid nothing to a person who writes.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            known = required(await conversations.hours(tx, contact_id), "contact", contact_id)
        clock = ContactClock.of(
            time_zone=known.time_zone,
            phone=known.phone,
            workspace=known.workspace_zone or self._zone,
        )
        return quiet_hours(now, known.send_window, clock)
