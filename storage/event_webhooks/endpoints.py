"""Queries about the addresses that are told events."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, insert, select, text, tuple_, update
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.tables.event_webhooks import EventEndpoint


async def add(tx: Transaction, values: Mapping[str, Any], most: int) -> EventEndpoint | None:
    """Insert an endpoint; None if there are as many as there may be."""
    await tx.execute(text("LOCK TABLE event_endpoints IN SHARE ROW EXCLUSIVE MODE"))
    count = await tx.execute(select(func.count()).select_from(EventEndpoint))
    if count.scalar_one() >= most:
        return None
    row = await tx.execute(insert(EventEndpoint).values(**values).returning(EventEndpoint))
    return row.scalar_one()


async def get(tx: Transaction, endpoint_id: UUID, *, lock: bool = False) -> EventEndpoint | None:
    """One endpoint; with ``lock``, kept from changing until the transaction ends."""
    query = (
        select(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id)
        .execution_options(populate_existing=True)
    )
    return (
        await tx.execute(query.with_for_update(key_share=True) if lock else query)
    ).scalar_one_or_none()


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[EventEndpoint]:
    """Endpoints in the order they were made."""
    place = tuple_(col(EventEndpoint.created_at), col(EventEndpoint.id))
    query = select(EventEndpoint).order_by(place).limit(limit)
    if after:
        query = query.where(place > (after.value, after.id))
    return list((await tx.execute(query)).scalars())


async def change(
    tx: Transaction, endpoint_id: UUID, values: Mapping[str, Any]
) -> EventEndpoint | None:
    """Change an endpoint; None if there is none with this id."""
    row = await tx.execute(
        update(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id)
        .values(**values)
        .returning(EventEndpoint)
        .execution_options(populate_existing=True)
    )
    return row.scalar_one_or_none()


async def disable(tx: Transaction, endpoint_id: UUID) -> bool:
    """Tell an endpoint nothing more; False if that was so."""
    row = await tx.execute(
        update(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id, col(EventEndpoint.disabled_at).is_(None))
        .values(disabled_at=func.now())
        .returning(col(EventEndpoint.id))
    )
    return row.scalar_one_or_none() is not None


async def remove(tx: Transaction, endpoint_id: UUID) -> bool:
    """Remove an endpoint with its delivery log; False if there is none with this id."""
    row = await tx.execute(
        delete(EventEndpoint)
        .where(col(EventEndpoint.id) == endpoint_id)
        .returning(col(EventEndpoint.id))
    )
    return row.scalar_one_or_none() is not None
