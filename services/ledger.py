"""The rows that decide, as the activities see them."""

from uuid import UUID

from domain.ports import Answer, Listing, Opening, Standing
from domain.rules import SendingRules
from domain.statuses import LineType
from services.outbox import Outbox
from services.outcomes import Outcomes
from services.sending import Sending
from storage import sending
from storage.database import Database


class Ledger:
    """Implements ``domain.ports.Ledger`` on PostgreSQL.

    Args:
        database: Where the rows are.
        rules: The timings.
        outbox: Kicked after what may have ended other enrollments.
    """

    def __init__(self, database: Database, rules: SendingRules, outbox: Outbox) -> None:
        self._database = database
        self._sending = Sending(database, rules)
        self._outcomes = Outcomes(database, rules)
        self._outbox = outbox

    async def open_step(self, enrollment_id: UUID) -> Opening:
        """Ask to send the enrollment's next step."""
        return await self._sending.open_step(enrollment_id)

    async def look(self, enrollment_id: UUID) -> Standing:
        """Say where the enrollment stands now, and begin no text."""
        return await self._sending.look(enrollment_id)

    async def open_message(self, message_id: UUID) -> Opening:
        """Ask to send a one-off text."""
        return await self._sending.open_message(message_id)

    async def record_answer(self, attempt_id: UUID, answer: Answer) -> Opening:
        """Write down what the provider said and what follows from it."""
        opening = await self._outcomes.record_answer(attempt_id, answer)
        self._outbox.kick()
        return opening

    async def record_listing(self, attempt_id: UUID, listing: Listing | None) -> Opening:
        """Weigh the provider's list as proof about an attempt."""
        opening = await self._outcomes.record_listing(attempt_id, listing)
        self._outbox.kick()
        return opening

    async def record_line_type(self, contact_id: UUID, line_type: LineType | None) -> None:
        """Write down a looked-up line type; a failed look-up counts as ``unknown``."""
        async with self._database.transaction() as tx:
            await sending.set_line_type(
                tx, contact_id, line_type or LineType.UNKNOWN, only_if_unknown=True
            )

    async def close_enrollment(self, enrollment_id: UUID) -> Standing:
        """End the enrollment if its reply window has passed."""
        return await self._outcomes.close_enrollment(enrollment_id)
