"""Texts that a second reader is to be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from storage.platform.database import Transaction


@dataclass(frozen=True)
class TextToRead:
    """An inbound text, and the names of its writer if we know them.

    Attributes:
        at: The provider's time of the text.
    """

    message_id: UUID
    phone: str
    body: str
    at: datetime
    first_name: str | None
    last_name: str | None


async def add(tx: Transaction, message_ids: Sequence[UUID]) -> None:
    """Note stored texts that are to be asked about."""
    if message_ids:
        sql = "INSERT INTO second_readings (message_id) SELECT unnest(CAST(:ids AS uuid[]))"
        await tx.run(sql, ids=message_ids)


_IS_NEEDLESS = """(
    EXISTS (
        SELECT FROM suppressions s
        WHERE s.phone = m.phone AND s.sender_id IS NULL AND s.lifted_at IS NULL
    )
    OR EXISTS (SELECT FROM reviews r WHERE r.message_id = m.id AND r.decision IS NOT NULL)
)"""
"""SQL: the number of a text ``m`` is suppressed for everyone, or a person has decided about it."""

_DISCARD = f"""
    DELETE FROM second_readings WHERE message_id IN (
        SELECT q.message_id FROM second_readings q JOIN messages m ON m.id = q.message_id
        WHERE q.next_try_at <= now() AND (m.occurred_at < now() - :give_up OR {_IS_NEEDLESS})
        FOR UPDATE OF q SKIP LOCKED
    )
"""  # noqa: S608 - built from constants

_TAKE = """
    WITH due AS (
        SELECT message_id FROM second_readings WHERE next_try_at <= now()
        ORDER BY next_try_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE second_readings q SET tries = q.tries + 1,
            next_try_at = now() + interval '1 minute' * power(2, least(q.tries, 6))
        FROM due WHERE q.message_id = due.message_id
        RETURNING q.message_id
    )
    SELECT m.id AS message_id, m.phone, m.body, m.occurred_at AS at, c.first_name, c.last_name
    FROM taken JOIN messages m ON m.id = taken.message_id
    LEFT JOIN contacts c ON c.id = m.contact_id
    ORDER BY m.created_at, m.id
"""


async def discard(tx: Transaction, give_up: timedelta) -> None:
    """Drop texts that are older than ``give_up``, or need no question any more."""
    await tx.run(_DISCARD, give_up=give_up)


async def take(tx: Transaction, limit: int) -> list[TextToRead]:
    """Take texts to ask about now; those without an answer come again, after growing pauses."""
    return await tx.rows(TextToRead, _TAKE, limit=limit)


async def finish(tx: Transaction, message_id: UUID) -> bool:
    """Note that a text was read; tell whether what the reader says may still count.

    It does not if the text is gone or was read before, if its number is suppressed for everyone, or
    if a person has decided about it. The number is locked.
    """
    sql = f"""
        DELETE FROM second_readings q USING messages m
        WHERE q.message_id = :id AND m.id = q.message_id
        RETURNING NOT {_IS_NEEDLESS}
    """  # noqa: S608 - built from constants
    return await tx.value(bool, sql, id=message_id) or False
