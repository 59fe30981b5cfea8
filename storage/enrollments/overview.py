"""Queries of a sequence's Overview tab."""

from datetime import datetime
from uuid import UUID

from storage.platform.database import Transaction

_PER_HOUR = """
    SELECT greatest(floor(extract(epoch FROM next_send_at - :start) / 3600), 0)::integer AS hour,
        count(*) AS total
    FROM enrollments
    WHERE sequence_id = :sequence_id AND next_send_at < :until AND status = 'active'
    AND activity <> 'sending'
    GROUP BY 1
"""


async def sends_per_hour(
    tx: Transaction, sequence_id: UUID, start: datetime, until: datetime
) -> dict[int, int]:
    """Count texts due before a moment by hour from ``start``, which is hour 0.

    Overdue ones are in hour 0; hours without any are left out.
    """
    rows = await tx.run(_PER_HOUR, sequence_id=sequence_id, start=start, until=until)
    return {row.hour: row.total for row in rows}
