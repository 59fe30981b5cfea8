"""Whether an enrollment may be closed, and what became of its last texts."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from domain.platform.rules import EARLY_TOLERANCE, INBOUND_WAIT
from domain.statuses.enrollment_state import EnrollmentState
from domain.statuses.enrollments import EnrollmentPhase
from domain.statuses.messaging import LastText
from storage.platform.database import Transaction
from storage.tables.sent import SENT


async def attempts_under_way(
    tx: Transaction, enrollment_ids: Sequence[UUID]
) -> dict[UUID, list[UUID]]:
    """Attempts of enrollments without a known outcome, by enrollment."""
    rows = await tx.execute(
        text(
            """
            SELECT m.enrollment_id, a.id FROM attempts a JOIN messages m ON m.id = a.message_id
            WHERE m.enrollment_id = ANY(:ids) AND a.outcome IN ('open', 'unknown')
            """
        ).bindparams(bindparam("ids", type_=ARRAY(Uuid()))),
        {"ids": list(enrollment_ids)},
    )
    found: dict[UUID, list[UUID]] = {}
    for row in rows:
        found.setdefault(row.enrollment_id, []).append(row.id)
    return found


async def last_text(
    tx: Transaction, attempt_ids: Sequence[UUID], margin: timedelta
) -> LastText | None:
    """What became of attempts that were under way; None while one may still be making its call."""
    rows = (
        await tx.execute(
            text(
                f"""
                SELECT a.outcome, {SENT} AS sent,
                    a.outcome = 'open' AND clock_timestamp() < a.call_before + :margin AS calling
                FROM attempts a JOIN messages m ON m.id = a.message_id WHERE a.id = ANY(:ids)
                """  # noqa: S608 - built from constants
            ).bindparams(bindparam("ids", type_=ARRAY(Uuid()))),
            {"ids": list(attempt_ids), "margin": margin},
        )
    ).all()
    if any(row.calling for row in rows):
        return None
    if any(row.outcome in {"open", "unknown"} for row in rows):
        return LastText.UNKNOWN
    return LastText.SENT if any(row.sent for row in rows) else LastText.NONE


async def lock_closing(tx: Transaction, enrollment_id: UUID) -> EnrollmentState:
    """Lock an enrollment whose reply window may be over.

    Answers ``closing`` if it is, else where the enrollment stands.
    """
    row = (
        await tx.execute(
            text(
                """
                SELECT e.status, e.activity, e.step, e.step_count, e.reply_until, e.held_reason,
                    e.next_send_at, q.sender_id, clock_timestamp() AS read_at, EXISTS (
                        SELECT 1 FROM inbound_events i
                        WHERE i.phone = c.phone AND i.applied_at IS NULL
                    ) AS inbound_pending
                FROM enrollments e
                JOIN sequences q ON q.id = e.sequence_id
                JOIN contacts c ON c.id = e.contact_id
                WHERE e.id = :id FOR UPDATE OF e
                """
            ),
            {"id": enrollment_id},
        )
    ).one_or_none()
    if row is None:
        return EnrollmentState(doing="ended", status="gone")
    doing, due_at = row.activity or "ended", row.next_send_at
    if doing == EnrollmentPhase.AWAITING_REPLY:
        due_at = row.reply_until
        if row.inbound_pending:
            due_at = max(row.reply_until, row.read_at + INBOUND_WAIT)
        elif row.reply_until <= row.read_at + EARLY_TOLERANCE:
            doing = "closing"
    return EnrollmentState(
        doing=doing,
        status=row.status,
        due_at=due_at,
        step=row.step,
        step_count=row.step_count,
        sender_id=str(row.sender_id),
        held_reason=row.held_reason,
    )
