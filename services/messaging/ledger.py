"""The rows that decide, as the activities see them."""

from uuid import UUID

from domain.messaging.ports import Listing, NextAction, Preparation, SendResult
from domain.platform.rules import SendingRules
from domain.statuses.contacts import LineType
from domain.statuses.enrollment_state import EnrollmentState
from services.messaging.outcomes import Outcomes
from services.messaging.sending import Sending
from storage.messaging import sending
from storage.platform.database import Pools


class Ledger:
    """Implements ``domain.messaging.ports.Ledger`` on PostgreSQL.

    Args:
        pools: Where the rows are.
        rules: The timings.
    """

    def __init__(self, pools: Pools, rules: SendingRules) -> None:
        self._deciding = Sending(pools.decisions, rules)
        self._sending = Sending(pools.sends, rules)
        self._answers = Outcomes(pools.sends, rules)
        self._closing = Outcomes(pools.decisions, rules)
        self._proofs = Outcomes(pools.rest, rules)
        self._rest = pools.rest

    async def decide_step(self, enrollment_id: UUID) -> Preparation:
        """Say what the enrollment needs next, and begin no text."""
        return await self._deciding.decide_step(enrollment_id)

    async def decide_message(self, message_id: UUID) -> Preparation:
        """Say what a one-off text needs next, and begin nothing."""
        return await self._deciding.decide_message(message_id)

    async def open_step(self, enrollment_id: UUID) -> NextAction:
        """Ask to send the enrollment's next step."""
        return await self._sending.open_step(enrollment_id)

    async def open_message(self, message_id: UUID) -> NextAction:
        """Ask to send a one-off text."""
        return await self._sending.open_message(message_id)

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        """Write down what the provider said and what follows from it."""
        return await self._answers.record_answer(attempt_id, answer)

    async def record_listing(self, attempt_id: UUID, listing: Listing | None) -> NextAction:
        """Weigh the provider's list as proof about an attempt."""
        return await self._proofs.record_listing(attempt_id, listing)

    async def record_line_type(self, contact_id: UUID, line_type: LineType | None) -> None:
        """Write down a looked-up line type; a failed look-up counts as ``unknown``."""
        async with self._rest.transaction() as tx:
            await sending.set_line_type(
                tx, contact_id, line_type or LineType.UNKNOWN, only_if_unknown=True
            )

    async def close_enrollment(self, enrollment_id: UUID) -> EnrollmentState:
        """End the enrollment if its reply window has passed."""
        return await self._closing.close_enrollment(enrollment_id)
