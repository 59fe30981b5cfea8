"""Queries about idempotency keys and the answers stored under them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from storage.platform.database import Transaction
from storage.tables.platform import IdempotencyKey


async def reserve(
    tx: Transaction,
    *,
    user_id: UUID,
    key: str,
    route: str,
    request_hash: str,
    kept_for: timedelta,
    abandoned_after: timedelta | None,
) -> datetime | None:
    """Claim a key for one request; return when, or None if it is claimed already.

    Waits for a transaction that is claiming it. A claim older than ``kept_for`` has expired; one of
    the same request without an answer can be taken over after ``abandoned_after``, if given.
    """
    sql = """
        INSERT INTO idempotency_keys AS kept (user_id, key, route, request_hash)
        VALUES (:user_id, :key, :route, :request_hash)
        ON CONFLICT (user_id, key) DO UPDATE SET route = excluded.route,
            request_hash = excluded.request_hash, status_code = NULL, answer = NULL,
            created_at = now()
        WHERE kept.created_at < now() - :kept_for OR (
            kept.status_code IS NULL AND kept.route = excluded.route
            AND kept.request_hash = excluded.request_hash
            AND kept.created_at < now() - CAST(:abandoned_after AS interval)
        )
        RETURNING created_at
    """
    claim = {"user_id": user_id, "key": key, "route": route, "request_hash": request_hash}
    ages = {"kept_for": kept_for, "abandoned_after": abandoned_after}
    return await tx.value(datetime, sql, **claim, **ages)


async def get(tx: Transaction, user_id: UUID, key: str) -> IdempotencyKey | None:
    """Read a key; None if it is unknown."""
    which = col(IdempotencyKey.user_id) == user_id, col(IdempotencyKey.key) == key
    return await tx.scalar(select(IdempotencyKey).where(*which))


async def keep_answer(
    tx: Transaction,
    user_id: UUID,
    key: str,
    reserved_at: datetime,
    status_code: int,
    answer: Mapping[str, Any],
) -> bool:
    """Store the answer; False if the claim was taken over."""
    sql = """
        UPDATE idempotency_keys SET status_code = :status_code, answer = :answer
        WHERE user_id = :user_id AND key = :key AND created_at = :reserved_at
    """
    claim = {"user_id": user_id, "key": key, "reserved_at": reserved_at}
    return await tx.count(sql, **claim, status_code=status_code, answer=answer) > 0


async def release(tx: Transaction, user_id: UUID, key: str, reserved_at: datetime) -> None:
    """Give up a claim that has no answer."""
    sql = """
        DELETE FROM idempotency_keys
        WHERE user_id = :user_id AND key = :key AND created_at = :reserved_at
        AND status_code IS NULL
    """
    await tx.run(sql, user_id=user_id, key=key, reserved_at=reserved_at)
