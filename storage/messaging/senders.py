"""Queries about senders."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import Text, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.platform.paging import Position
from storage.platform.database import Transaction
from storage.tables.messaging import Sender


async def add(tx: Transaction, values: Mapping[str, Any]) -> Sender | None:
    """Insert a sender; None if its number or Messaging Service is taken."""
    query = insert(Sender).values(**values).on_conflict_do_nothing().returning(Sender)
    return await tx.scalar(query)


async def id_of(tx: Transaction, *, phone: str | None, service_sid: str | None) -> UUID | None:
    """Find who has this number, or this Messaging Service; only one of them is given."""
    sql = "SELECT id FROM senders WHERE phone = :phone OR messaging_service_sid = :service_sid"
    return await tx.value(UUID, sql, phone=phone, service_sid=service_sid)


async def get(tx: Transaction, sender_id: UUID) -> Sender | None:
    """Read one sender."""
    return await tx.scalar(select(Sender).where(col(Sender.id) == sender_id))


async def change(tx: Transaction, sender_id: UUID, values: Mapping[str, Any]) -> Sender | None:
    """Change a sender; None if there is none with this id."""
    query = update(Sender).where(col(Sender.id) == sender_id).values(**values)
    return await tx.scalar(query.returning(Sender))


async def find(tx: Transaction, *, after: Position | None, limit: int) -> list[Sender]:
    """List senders by name, in whatever case."""
    key = func.lower(col(Sender.name))
    query = select(Sender).order_by(key, col(Sender.id)).limit(limit)
    if after:
        query = query.where(
            tuple_(key, col(Sender.id))
            > tuple_(func.lower(literal(after.value, Text)), literal(after.id))
        )
    return await tx.column(query)
