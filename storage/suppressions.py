"""Opted-out numbers, with their evidence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text, Uuid

from domain.statuses import EnrollmentStatus, OptOutSource
from storage.database import Transaction
from storage.sending import SENT


@dataclass(frozen=True)
class Evidence:
    """How a number came to be suppressed.

    Attributes:
        phone: Which number.
        source: How.
        occurred_at: The provider's time of the fact.
        message_id: The inbound text that asked for it.
        attempt_id: The attempt that the provider refused.
        user_id: Who did it by hand.
        reason: In words.
    """

    phone: str
    source: OptOutSource
    occurred_at: datetime
    message_id: UUID | None = None
    attempt_id: UUID | None = None
    user_id: UUID | None = None
    reason: str | None = None


@dataclass(frozen=True)
class OptIn:
    """The latest opt-in text of a number: when, and which sender it went to."""

    occurred_at: datetime
    sender_id: UUID | None


async def last_opt_in(tx: Transaction, phone: str) -> OptIn | None:
    """The number's latest text that says START, UNSTOP or YES."""
    row = (
        await tx.execute(
            text(
                """
                SELECT occurred_at, sender_id FROM messages
                WHERE phone = :phone AND keyword = 'opt_in' ORDER BY occurred_at DESC LIMIT 1
                """
            ),
            {"phone": phone},
        )
    ).one_or_none()
    return OptIn(row.occurred_at, row.sender_id) if row else None


async def suppress(tx: Transaction, evidence: Evidence, *, sender_id: UUID | None) -> None:
    """Suppress a number, everywhere or for one sender; the first evidence stands."""
    await tx.execute(
        text(
            """
            INSERT INTO suppressions (id, phone, sender_id, source, reason, message_id,
                attempt_id, user_id, occurred_at)
            VALUES (:id, :phone, :sender_id, :source, :reason, :message_id, :attempt_id, :user_id,
                :occurred_at)
            ON CONFLICT (phone, sender_id) WHERE lifted_at IS NULL DO NOTHING
            """
        ),
        {
            "id": uuid4(),
            "phone": evidence.phone,
            "sender_id": sender_id,
            "source": evidence.source.value,
            "reason": evidence.reason,
            "message_id": evidence.message_id,
            "attempt_id": evidence.attempt_id,
            "user_id": evidence.user_id,
            "occurred_at": evidence.occurred_at,
        },
    )


async def lift(
    tx: Transaction,
    phone: str,
    sources: Sequence[OptOutSource],
    *,
    before: datetime,
    message_id: UUID | None,
) -> bool:
    """Lift a number's standing suppressions of some sources that are older than a moment.

    Answers whether there was one.
    """
    rows = await tx.execute(
        text(
            """
            UPDATE suppressions SET lifted_at = :before, lifted_message_id = :message_id
            WHERE phone = :phone AND lifted_at IS NULL AND source = ANY(:sources)
            AND occurred_at <= :before
            RETURNING id
            """
        ).bindparams(bindparam("sources", type_=ARRAY(Text()))),
        {
            "phone": phone,
            "sources": [source.value for source in sources],
            "before": before,
            "message_id": message_id,
        },
    )
    return rows.first() is not None


_END_ALL = text(
    f"""
    UPDATE enrollments e SET status = CASE WHEN EXISTS (
            SELECT 1 FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.enrollment_id = e.id AND {SENT}
        ) THEN 'opted_out' ELSE 'omitted_opted_out' END,
        activity = NULL, held_reason = NULL, held_code = NULL, next_send_at = NULL,
        probing = false, ended_at = :at, error_code = :error_code, ended_by = :user_id
    FROM contacts c, sequences q
    WHERE c.id = e.contact_id AND q.id = e.sequence_id AND e.status = 'active'
    AND (c.phone = :phone OR e.id = ANY(:also))
    AND (CAST(:enrolled_before AS timestamptz) IS NULL OR e.enrolled_at <= :enrolled_before)
    AND (CAST(:sender_id AS uuid) IS NULL OR q.sender_id = :sender_id)
    RETURNING e.id, e.status
    """  # noqa: S608 - built from constants
).bindparams(bindparam("also", type_=ARRAY(Uuid())))


async def end_enrollments(
    tx: Transaction,
    phone: str,
    *,
    at: datetime,
    also: Sequence[UUID] = (),
    enrolled_before: datetime | None = None,
    sender_id: UUID | None = None,
    error_code: int | None = None,
    user_id: UUID | None = None,
) -> list[tuple[UUID, EnrollmentStatus]]:
    """End a number's active enrollments as opted out, omitted where nothing was *sent*.

    Args:
        tx: The transaction of the fact behind it.
        phone: The number.
        at: When they end.
        also: Enrollments to end though their contact has another number by now.
        enrolled_before: Only those enrolled by then.
        sender_id: Only those whose sequence sends from here.
        error_code: The provider's code behind it.
        user_id: Who asked for it by hand.
    """
    rows = await tx.execute(
        _END_ALL,
        {
            "phone": phone,
            "at": at,
            "also": list(also),
            "enrolled_before": enrolled_before,
            "sender_id": sender_id,
            "error_code": error_code,
            "user_id": user_id,
        },
    )
    return [(row.id, EnrollmentStatus(row.status)) for row in rows]
