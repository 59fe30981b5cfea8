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
