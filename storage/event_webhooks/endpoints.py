"""Queries about event endpoints."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, update
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.platform.pages import page_by_creation
from storage.tables.event_webhooks import EventEndpoint


async def add(tx: Transaction, values: Mapping[str, Any], most: int) -> EventEndpoint | None:
    """Insert an endpoint; None if there are ``most`` already."""
    await tx.execute(text("LOCK TABLE event_endpoints IN SHARE ROW EXCLUSIVE MODE"))
    count = await tx.execute(select(func.count()).select_from(EventEndpoint))
    if count.scalar_one() >= most:
        return None
    return await tx.scalar(insert(EventEndpoint).values(**values).returning(EventEndpoint))


async def get(tx: Transaction, endpoint_id: UUID, *, lock: bool = False) -> EventEndpoint | None:
    """Read one endpoint; with ``lock``, keep it from changing until the transaction ends."""
    query = (
        select(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id)
        .execution_options(populate_existing=True)
    )
    return await tx.scalar(query.with_for_update(key_share=True) if lock else query)


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[EventEndpoint]:
    """List endpoints in the order they were made."""
    page = page_by_creation(select(EventEndpoint), EventEndpoint, after=after, limit=limit)
    return list(await tx.scalars(page))


async def change(
    tx: Transaction, endpoint_id: UUID, values: Mapping[str, Any]
) -> EventEndpoint | None:
    """Change an endpoint; None if there is none with this id."""
    return await tx.scalar(
        update(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id)
        .values(**values)
        .returning(EventEndpoint)
        .execution_options(populate_existing=True)
    )


async def disable(tx: Transaction, endpoint_id: UUID) -> bool:
    """Disable an endpoint; False if it was disabled."""
    enabled = col(EventEndpoint.id) == endpoint_id, col(EventEndpoint.disabled_at).is_(None)
    query = update(EventEndpoint).where(*enabled).values(disabled_at=func.now())
    return await tx.scalar(query.returning(col(EventEndpoint.id))) is not None


async def remove(tx: Transaction, endpoint_id: UUID) -> bool:
    """Remove an endpoint with its delivery log; False if there is none with this id."""
    query = delete(EventEndpoint).where(col(EventEndpoint.id) == endpoint_id)
    return await tx.scalar(query.returning(col(EventEndpoint.id))) is not None
