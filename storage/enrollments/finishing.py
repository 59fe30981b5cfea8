"""What is left to send when enrollments are finished, and what became of their last texts."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from domain.statuses.messaging import CancelReason, LastText
from storage.enrollments.one_offs import WOULD_GO, cancel
from storage.platform.database import Transaction
from storage.platform.locks import lock_numbers
from storage.tables.sent import SENT

_OF_THESE = "m.enrollment_id = ANY(:ids)"


async def cancel_one_offs(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Cancel one-off texts of enrollments that would go; the transaction holds no locks yet."""
    sql = f"SELECT DISTINCT m.phone FROM messages m WHERE {_OF_THESE} AND {WOULD_GO}"  # noqa: S608
    if phones := await tx.column(sql, ids=enrollment_ids):
        await lock_numbers(tx, phones)
        await cancel(tx, _OF_THESE, CancelReason.ENROLLMENT_ENDED, ids=enrollment_ids)


async def attempts_under_way(
    tx: Transaction, enrollment_ids: Sequence[UUID]
) -> dict[UUID, list[UUID]]:
    """Read attempts of enrollments without a known outcome, by enrollment."""
    sql = """
        SELECT m.enrollment_id, a.id FROM attempts a JOIN messages m ON m.id = a.message_id
        WHERE m.enrollment_id = ANY(:ids) AND a.outcome IN ('open', 'unknown')
    """
    found: dict[UUID, list[UUID]] = {}
    for row in await tx.run(sql, ids=enrollment_ids):
        found.setdefault(row.enrollment_id, []).append(row.id)
    return found


async def last_text(
    tx: Transaction, attempt_ids: Sequence[UUID], margin: timedelta
) -> LastText | None:
    """Tell what became of attempts under way; None while one may still be making its call."""
    sql = f"""
        SELECT a.outcome, {SENT} AS sent,
            a.outcome = 'open' AND clock_timestamp() < a.call_before + :margin AS calling
        FROM attempts a JOIN messages m ON m.id = a.message_id WHERE a.id = ANY(:ids)
    """  # noqa: S608 - built from constants
    rows = (await tx.run(sql, ids=attempt_ids, margin=margin)).all()
    if any(row.calling for row in rows):
        return None
    if any(row.outcome in {"open", "unknown"} for row in rows):
        return LastText.UNKNOWN
    return LastText.SENT if any(row.sent for row in rows) else LastText.NONE
