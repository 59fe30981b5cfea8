"""How fast a sequence's due texts go, when they wait for their sender's turn."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from storage.enrollments import due_texts
from storage.enrollments.list_counts import COUNTED, Count
from storage.platform import pacing
from storage.platform.database import Database

_WORTH_TELLING = timedelta(seconds=10)


@dataclass(frozen=True)
class Queue:
    """Texts of a sequence that are due and wait for their sender's turn.

    Attributes:
        texts: How many, up to ``COUNTED``.
        texts_per_second: What the sender sends of all its sequences together.
        left: How long it takes until all that the sender has to send now is sent.
        is_exact: Whether all of the sender were counted; if not, it takes longer.
    """

    texts: Count
    texts_per_second: float
    left: timedelta
    is_exact: bool


class Pace:
    """Tells how fast due texts go, by their rows and their sender's rate."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, sequence_id: UUID) -> Queue | None:
        """Read a sequence's queue; None if it has none, or one that is gone in some seconds."""
        async with self._database.transaction() as tx:
            due = await due_texts.waiting(tx, sequence_id, most=COUNTED + 1)
            if due is None or not due.here:
                return None
            rate = (await pacing.texts_per_second(tx, [due.sender_id]))[due.sender_id]
        left = timedelta(seconds=due.of_sender / rate)
        if left < _WORTH_TELLING:
            return None
        texts = Count(min(due.here, COUNTED), is_exact=due.here <= COUNTED)
        return Queue(texts, rate, left, is_exact=due.is_exact)
