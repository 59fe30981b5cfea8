"""How many texts per second a sender may send, read when Temporal is told."""

from collections.abc import Sequence
from uuid import UUID

from storage.platform.database import Transaction

_RATES = """
    SELECT n.id, n.segments_per_second / greatest(1, (
        SELECT max(t.segments) FROM sequences q
        JOIN sequence_versions v ON v.sequence_id = q.id
        JOIN steps t ON t.version_id = v.id
        WHERE q.sender_id = n.id AND q.state <> 'archived'
    )) AS texts_per_second
    FROM senders n
    WHERE CAST(:ids AS uuid[]) IS NULL OR n.id = ANY(:ids)
"""


async def texts_per_second(
    tx: Transaction, sender_ids: Sequence[UUID] | None = None
) -> dict[UUID, float]:
    """Read how many texts per second these senders may send; None for every sender.

    That is a sender's segments per second over those of the longest step in its sequences, the
    archived ones left out.
    """
    rows = await tx.run(_RATES, ids=sender_ids)
    return {row.id: float(row.texts_per_second) for row in rows}
