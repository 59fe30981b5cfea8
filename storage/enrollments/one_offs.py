"""Canceling one-off texts, which people write, before they go."""

from uuid import UUID

from domain.statuses.messaging import CancelReason
from storage.event_webhooks import events
from storage.platform.database import Transaction

UNDER_WAY = """EXISTS (
    SELECT FROM attempts a WHERE a.message_id = m.id AND a.outcome IN ('open', 'unknown')
)"""
"""SQL: an attempt at a text ``m`` may yet prove to have sent it."""

WOULD_GO = f"""(
    m.direction = 'outbound' AND m.step IS NULL
    AND (m.status = 'pending' OR m.next_try_at IS NOT NULL OR {UNDER_WAY})
)"""
"""SQL: a text ``m`` that a person wrote would go, for the first time or again."""


async def cancel(
    tx: Transaction, condition: str, reason: CancelReason, **values: object
) -> list[UUID]:
    """Cancel the one-off texts ``m`` of a condition that would go; return those canceled.

    One that is under way is marked: it is canceled once it proves not to have been sent, and is not
    tried again. Unless the condition leaves those out, the transaction holds the numbers' locks.
    """
    sql = f"""
        UPDATE messages m SET cancel_reason = coalesce(m.cancel_reason, :reason),
            status = CASE WHEN {UNDER_WAY} THEN m.status ELSE 'canceled' END,
            next_try_at = CASE WHEN {UNDER_WAY} THEN m.next_try_at END
        WHERE ({condition}) AND {WOULD_GO}
        RETURNING m.id, m.status = 'canceled' AS is_canceled
    """  # noqa: S608 - conditions are ours
    rows = await tx.run(sql, reason=reason, **values)
    canceled = sorted(row.id for row in rows if row.is_canceled)
    await events.messages_canceled(tx, canceled)
    return canceled
