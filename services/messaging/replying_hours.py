"""Whether it is a decent hour to text a contact by hand, and whether they had enough texts."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.messaging.quiet_hours import QuietHours, quiet_hours
from domain.platform.errors import required
from domain.sequences.timing import ContactClock
from storage.messaging import conversations
from storage.platform.database import Database


@dataclass(frozen=True)
class ContactHours:
    """A contact's clock.

    Attributes:
        zone: By which they are told the time; IANA name.
        is_sure: Whether that is theirs; a number may allow several zones.
        quiet: Their quiet hours, if it is no hour to text them.
        over_cap: Whether they had as many texts in 24 hours as the workspace lets one person have.
    """

    zone: str
    is_sure: bool
    quiet: QuietHours | None
    over_cap: bool


class ReplyingHours:
    """Reads contacts' hours; ``workspace_zone`` is of a workspace that has set none."""

    def __init__(self, database: Database, *, workspace_zone: str) -> None:
        self._database = database
        self._zone = workspace_zone

    async def of(self, contact_id: UUID, now: datetime) -> ContactHours:
        """Tell by which clock a contact lives, and whether they had better not be texted now.

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
        quiet = quiet_hours(now, known.send_window, clock)
        return ContactHours(clock.wall_zone.key, len(clock.zones) == 1, quiet, known.over_cap)
