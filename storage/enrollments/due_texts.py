"""Queries of the texts that are due and wait for their sender's turn."""

from dataclasses import dataclass
from uuid import UUID

from storage.platform.database import Transaction

_DUE = """
    SELECT count(*) FROM (
        SELECT FROM enrollments e
        WHERE e.sequence_id = q.id AND e.next_send_at <= now() AND e.status = 'active'
        AND e.activity = 'waiting' LIMIT :most
    ) due
"""

_WAITING = f"""
    SELECT n.id AS sender_id, sum(due.count)::integer AS of_sender,
        coalesce(sum(due.count) FILTER (WHERE q.id = :sequence_id), 0)::integer AS here,
        bool_and(due.count < :most) AS is_exact
    FROM senders n
    JOIN sequences q ON q.sender_id = n.id AND q.state = 'active'
    JOIN LATERAL ({_DUE}) due ON true
    WHERE n.id = (SELECT sender_id FROM sequences WHERE id = :sequence_id) AND n.held_at IS NULL
    GROUP BY n.id
"""  # noqa: S608 - built from constants


@dataclass(frozen=True)
class DueTexts:
    """Texts that are due: of one sequence, and of all that have its sender.

    ``is_exact``: whether all of them were counted.
    """

    sender_id: UUID
    of_sender: int
    here: int
    is_exact: bool


async def waiting(tx: Transaction, sequence_id: UUID, *, most: int) -> DueTexts | None:
    """Count the texts that may go now, up to ``most`` of each sequence.

    None if there is no such sequence, its sender is on hold, or no sequence of the sender is
    active.
    """
    return await tx.one(DueTexts, _WAITING, sequence_id=sequence_id, most=most)
