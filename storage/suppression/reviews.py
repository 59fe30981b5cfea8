"""Reviews: texts that may ask for no more texts, for a person to decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.platform.paging import Position
from domain.statuses.suppression import ReviewDecision
from storage.platform.database import Transaction


@dataclass(frozen=True)
class ReviewRow:
    """A text to decide about, or decided about.

    Attributes:
        phone: Who sent it, E.164.
        contact_id: Whose text it is, if we know them.
        sender_id: Which sender it came to.
        reason: What a second reader said of it; None if there was none.
        received_at: The provider's time of the text.
        decision: None while nobody has decided.
        opted_out: Whether the number is suppressed for everyone now.
        enrollment_id: The enrollment it most likely answers: their latest with that sender.
        sequence_name: Of that enrollment.
        before_body: The last text that we had sent to the number by then; None without one.
        before_at: When the provider took it.
    """

    message_id: UUID
    phone: str
    contact_id: UUID | None
    contact_name: str | None
    sender_id: UUID | None
    body: str
    received_at: datetime
    created_at: datetime
    reason: str | None
    decision: ReviewDecision | None
    decided_at: datetime | None
    decided_by: UUID | None
    decided_by_name: str | None
    opted_out: bool
    enrollment_id: UUID | None
    sequence_name: str | None
    before_body: str | None
    before_at: datetime | None


_ROWS = """
    SELECT r.message_id, m.phone, m.contact_id,
        btrim(c.first_name || ' ' || c.last_name) AS contact_name, m.sender_id, m.body,
        m.occurred_at AS received_at, r.created_at, r.reason, r.decision, r.decided_at,
        r.decided_by, u.name AS decided_by_name, EXISTS (
            SELECT FROM suppressions s
            WHERE s.phone = m.phone AND s.sender_id IS NULL AND s.lifted_at IS NULL
        ) AS opted_out, e.id AS enrollment_id, e.name AS sequence_name,
        b.body AS before_body, b.occurred_at AS before_at
    FROM reviews r
    JOIN messages m ON m.id = r.message_id
    LEFT JOIN contacts c ON c.id = m.contact_id
    LEFT JOIN users u ON u.id = r.decided_by
    LEFT JOIN LATERAL (
        SELECT e.id, q.name FROM enrollments e JOIN sequences q ON q.id = e.sequence_id
        WHERE e.contact_id = m.contact_id AND q.sender_id = m.sender_id
        AND e.enrolled_at <= m.occurred_at
        ORDER BY e.enrolled_at DESC LIMIT 1
    ) e ON true
    LEFT JOIN LATERAL (
        SELECT b.body, b.occurred_at FROM messages b
        WHERE b.phone = m.phone AND b.direction = 'outbound' AND b.occurred_at IS NOT NULL
        AND b.created_at < m.created_at
        ORDER BY b.created_at DESC LIMIT 1
    ) b ON true
"""

_PAGE = f"""
    {_ROWS}
    WHERE (CAST(:decided AS boolean) IS NULL OR (r.decision IS NOT NULL) = :decided)
    AND (
        CAST(:after_at AS timestamptz) IS NULL
        OR (r.created_at, r.message_id) < (:after_at, CAST(:after_id AS uuid))
    )
    ORDER BY r.created_at DESC, r.message_id DESC LIMIT :limit
"""


async def add(tx: Transaction, message_ids: Sequence[UUID], *, reason: str | None = None) -> None:
    """Open reviews of inbound texts that have none; open ones get the reason if they lack one."""
    if message_ids:
        sql = """
            INSERT INTO reviews (message_id, reason)
            SELECT unnest(CAST(:ids AS uuid[])), CAST(:reason AS text)
            ON CONFLICT (message_id) DO UPDATE SET reason = excluded.reason
            WHERE excluded.reason IS NOT NULL
            AND reviews.reason IS NULL AND reviews.decision IS NULL
        """
        await tx.run(sql, ids=message_ids, reason=reason)


async def get(tx: Transaction, message_id: UUID) -> ReviewRow | None:
    """Read one review."""
    return await tx.one(ReviewRow, f"{_ROWS} WHERE r.message_id = :id", id=message_id)


async def find(
    tx: Transaction, *, is_decided: bool | None, after: Position | None, limit: int
) -> list[ReviewRow]:
    """List reviews, newest first; ``is_decided`` None for all."""
    return await tx.rows(
        ReviewRow,
        _PAGE,
        decided=is_decided,
        after_at=after.value if after else None,
        after_id=after.id if after else None,
        limit=limit,
    )


async def decide(
    tx: Transaction, message_id: UUID, decision: ReviewDecision, *, user_id: UUID
) -> bool:
    """Store a decision; return False if there was one before."""
    sql = """
        UPDATE reviews SET decision = :decision, decided_by = :user_id,
            decided_at = clock_timestamp()
        WHERE message_id = :id AND decision IS NULL
    """
    return await tx.count(sql, id=message_id, decision=decision, user_id=user_id) > 0
