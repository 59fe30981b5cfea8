"""What starting a workflow needs, read when Temporal is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.statuses.enrollment_state import EnrollmentState, NewEnrollment
from storage.platform.database import Transaction
from storage.platform.rows import made


@dataclass(frozen=True)
class Facts:
    """Active enrollments by id, and the senders of one-off texts by message, for outbox entries."""

    enrollments: Mapping[UUID, NewEnrollment]
    messages: Mapping[UUID, UUID | None]


async def new_enrollments(
    tx: Transaction, enrollment_ids: Sequence[UUID]
) -> dict[UUID, NewEnrollment]:
    """Read active enrollments as their workflows start with them."""
    if not enrollment_ids:
        return {}
    sql = """
        SELECT e.id AS enrollment_id, e.sequence_id, e.enrolled_by, e.activity AS doing, e.status,
            e.step, e.step_count, e.held_reason, CAST(q.sender_id AS text) AS sender_id,
            coalesce(e.next_send_at, e.reply_until) AS due_at
        FROM enrollments e JOIN sequences q ON q.id = e.sequence_id
        WHERE e.id = ANY(:ids) AND e.status = 'active'
    """
    rows = (await tx.run(sql, ids=enrollment_ids)).mappings()
    return {
        row["enrollment_id"]: made(NewEnrollment, row, standing=made(EnrollmentState, row))
        for row in rows
    }


async def message_senders(tx: Transaction, message_ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Read the senders of one-off texts."""
    if not message_ids:
        return {}
    sql = "SELECT id, sender_id FROM messages WHERE id = ANY(:ids)"
    return {row.id: row.sender_id for row in await tx.run(sql, ids=message_ids)}


_PACES = """
    SELECT n.id, n.segments_per_second / greatest(1, (
        SELECT max(t.segments) FROM sequences q
        JOIN sequence_versions v ON v.sequence_id = q.id
        JOIN steps t ON t.version_id = v.id
        WHERE q.sender_id = n.id AND q.state <> 'archived'
    )) AS texts_per_second
    FROM senders n
"""


async def paces(tx: Transaction, sender_ids: Sequence[UUID]) -> dict[UUID, float]:
    """Read how many texts per second senders may send.

    That is a sender's segments per second over those of the longest step in its sequences, the
    archived ones left out.
    """
    if not sender_ids:
        return {}
    rows = await tx.run(f"{_PACES} WHERE n.id = ANY(:ids)", ids=sender_ids)
    return {row.id: float(row.texts_per_second) for row in rows}


async def all_paces(tx: Transaction) -> dict[UUID, float]:
    """Read how many texts per second every sender may send."""
    return {row.id: float(row.texts_per_second) for row in await tx.run(_PACES)}
