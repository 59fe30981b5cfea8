"""List and decide reviews: texts that may ask for no more texts."""

from uuid import UUID

from domain.platform.errors import ConflictError, required
from domain.platform.paging import Page, Position, cut
from domain.statuses.suppression import OptOutSource, ReviewDecision
from services.platform import audit
from services.suppression.erasure import recall
from services.suppression.opt_outs import opt_out
from storage.platform.database import Database, Transaction
from storage.platform.locks import lock_enrollments_of, lock_numbers
from storage.suppression import reviews
from storage.suppression.reviews import ReviewRow
from storage.suppression.suppressions import Evidence


class Reviews:
    """Lists texts of unclear intent, and applies people's decisions about them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(
        self, *, is_decided: bool | None = None, after: Position | None = None, limit: int = 50
    ) -> Page[ReviewRow]:
        """List reviews, newest first: decided ones, undecided ones, or (None) both."""
        async with self._database.transaction() as tx:
            rows = await reviews.find(tx, is_decided=is_decided, after=after, limit=limit + 1)
        return cut(rows, limit, lambda row: Position(row.created_at, row.message_id))

    async def get(self, message_id: UUID) -> ReviewRow:
        """Read one review.

        Raises:
            NotFoundError: There is no review of this text.
        """
        async with self._database.transaction() as tx:
            return await _found(tx, message_id)

    async def decide(
        self, message_id: UUID, decision: ReviewDecision, *, user_id: UUID
    ) -> ReviewRow:
        """Apply a decision about a text; the same decision again changes nothing.

        An opt-out suppresses the number and ends its active enrollments as if the text had been
        understood when it came, so a START since then stands. Everything else stays as it was.

        Raises:
            NotFoundError: There is no review of this text.
            ConflictError: ``already_decided``, the other way.
        """
        async with self._database.transaction() as tx:
            row = await _found(tx, message_id)
            await lock_numbers(tx, [row.phone])
            row = await _found(tx, message_id)
            if await reviews.decide(tx, message_id, decision, user_id=user_id):
                await self._take_effect(tx, row, decision, user_id=user_id)
                row = await _found(tx, message_id)
            elif row.decision is not decision:
                raise ConflictError(
                    "already_decided",
                    f"it was decided the other way ({row.decision}); suppress the number by hand"
                    " with POST /api/suppressions, or lift what suppresses it with"
                    " POST /api/suppressions/{id}/lift",
                )
        return row

    async def _take_effect(
        self, tx: Transaction, row: ReviewRow, decision: ReviewDecision, *, user_id: UUID
    ) -> None:
        if decision is ReviewDecision.OPT_OUT:
            evidence = Evidence(
                phone=row.phone,
                source=OptOutSource.PLAIN_OPT_OUT,
                occurred_at=row.received_at,
                message_id=row.message_id,
                user_id=user_id,
            )
            await recall(tx, [row.phone])
            await lock_enrollments_of(tx, [row.phone])
            await opt_out(tx, [evidence])
        await audit.record(
            tx,
            "review.decide",
            "message",
            [row.message_id],
            user_id=user_id,
            decision=decision.value,
            contact_id=str(row.contact_id) if row.contact_id else None,
        )


async def _found(tx: Transaction, message_id: UUID) -> ReviewRow:
    return required(await reviews.get(tx, message_id), "review", message_id)
