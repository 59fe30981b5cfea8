"""The figures of each sequence in the list of sequences."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.platform.database import Transaction
from storage.platform.rows import made


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What came of a sequence's enrollments.

    Attributes:
        reached: Enrollments that a step was sent to.
        responded: Those of them that ended ``finished_responded``.
        replied_late: Those whose contact replied after they ended without a response.
        last_activity_at: The latest message, enrollment, or change of the sequence.
    """

    reached: int
    responded: int
    replied_late: int
    held: int
    last_activity_at: datetime

    @property
    def reply_rate(self) -> float | None:
        """The share of reached enrollments that responded, 0 to 1; None if none was reached."""
        return self.responded / self.reached if self.reached else None


# What is kept of the counts, and the last entry of two indexes.
_FIGURES = """
    SELECT q.id, coalesce(told.reached, 0) AS reached, coalesce(told.responded, 0) AS responded,
        coalesce(told.held, 0) AS held, (
            SELECT count(*) FROM enrollments
            WHERE sequence_id = q.id AND replied_late_at IS NOT NULL
        ) AS replied_late,
        greatest(q.updated_at, enrolled.at, texted.at) AS last_activity_at
    FROM sequences q
    LEFT JOIN (
        SELECT sequence_id, sum(change) FILTER (WHERE step > 0) AS reached,
            sum(change) FILTER (WHERE step > 0 AND status = 'finished_responded') AS responded,
            sum(change) FILTER (WHERE held) AS held
        FROM enrollment_counts WHERE sequence_id = ANY(:ids)
        GROUP BY sequence_id
    ) told ON told.sequence_id = q.id
    LEFT JOIN LATERAL (
        SELECT enrolled_at AS at FROM enrollments WHERE sequence_id = q.id
        ORDER BY enrolled_at DESC LIMIT 1
    ) enrolled ON true
    LEFT JOIN LATERAL (
        SELECT last_message_at AS at FROM enrollments
        WHERE sequence_id = q.id AND last_message_at IS NOT NULL
        ORDER BY last_message_at DESC LIMIT 1
    ) texted ON true
    WHERE q.id = ANY(:ids)
"""


async def figures(tx: Transaction, sequence_ids: Many[UUID]) -> dict[UUID, Figures]:
    """Read the figures of sequences."""
    rows = (await tx.run(_FIGURES, ids=sequence_ids)).mappings()
    return {row["id"]: made(Figures, row) for row in rows}
