"""Queries about event endpoints."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert, select, update
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.platform.rows import paged
from storage.tables.event_webhooks import EventEndpoint

_THERE = col(EventEndpoint.removed_at).is_(None)
_COUNT = "SELECT count(*) FROM event_endpoints WHERE removed_at IS NULL"


async def add(tx: Transaction, values: Mapping[str, Any], most: int) -> EventEndpoint | None:
    """Insert an endpoint; None if there are ``most`` already."""
    await tx.run("LOCK TABLE event_endpoints IN SHARE ROW EXCLUSIVE MODE")
    if (await tx.value(int, _COUNT) or 0) >= most:
        return None
    return await tx.scalar(insert(EventEndpoint).values(**values).returning(EventEndpoint))


async def get(tx: Transaction, endpoint_id: UUID, *, lock: bool = False) -> EventEndpoint | None:
    """Read one endpoint; with ``lock``, keep it from changing until the transaction ends."""
    query = (
        select(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id, _THERE)
        .execution_options(populate_existing=True)
    )
    return await tx.scalar(query.with_for_update(key_share=True) if lock else query)


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[EventEndpoint]:
    """List endpoints in the order they were made."""
    created_at, row_id = col(EventEndpoint.created_at), col(EventEndpoint.id)
    query = paged(select(EventEndpoint).where(_THERE), created_at, row_id, after)
    return await tx.column(query.limit(limit))


async def change(
    tx: Transaction, endpoint_id: UUID, values: Mapping[str, Any]
) -> EventEndpoint | None:
    """Change an endpoint; None if there is none with this id."""
    return await tx.scalar(
        update(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id, _THERE)
        .values(**values)
        .returning(EventEndpoint)
        .execution_options(populate_existing=True)
    )


async def rotate_secret(
    tx: Transaction, endpoint_id: UUID, secret: str, overlap: timedelta
) -> EventEndpoint | None:
    """Give an endpoint a new secret; the one it had signs beside it for a while.

    None if there is none with this id.
    """
    return await change(
        tx,
        endpoint_id,
        {
            "secret": secret,
            "previous_secret": col(EventEndpoint.secret),
            "previous_secret_until": func.now() + overlap,
        },
    )


async def disable(tx: Transaction, endpoint_id: UUID) -> bool:
    """Disable an endpoint; False if it was disabled."""
    sql = "UPDATE event_endpoints SET disabled_at = now() WHERE id = :id AND disabled_at IS NULL"
    return await tx.count(sql, id=endpoint_id) > 0


async def remove(tx: Transaction, endpoint_id: UUID) -> bool:
    """Remove an endpoint; False if there is none with this id.

    Its deliveries may be many, and who writes events must not wait: see ``forget_removed``.
    """
    sql = """
        UPDATE event_endpoints SET removed_at = now(), disabled_at = coalesce(disabled_at, now()),
            secret = '', previous_secret = NULL
        WHERE id = :id AND removed_at IS NULL
    """
    return await tx.count(sql, id=endpoint_id) > 0


async def forget_removed(tx: Transaction, limit: int) -> int:
    """Delete deliveries of removed endpoints, at last the endpoints; return how many rows."""
    sql = """
        DELETE FROM event_deliveries WHERE (endpoint_id, event_id) IN (
            SELECT d.endpoint_id, d.event_id FROM event_endpoints p
            JOIN event_deliveries d ON d.endpoint_id = p.id
            WHERE p.removed_at IS NOT NULL LIMIT :limit
        )
    """
    if deleted := await tx.count(sql, limit=limit):
        return deleted
    return await tx.count("DELETE FROM event_endpoints WHERE removed_at IS NOT NULL")
