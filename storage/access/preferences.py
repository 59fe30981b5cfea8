"""Queries of how users want the pages."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from storage.platform.database import Transaction


async def get(tx: Transaction, user_id: UUID, name: str) -> Mapping[str, Any] | None:
    """Read one of a user's preferences, if they have it."""
    sql = "SELECT value FROM preferences WHERE user_id = :user_id AND name = :name"
    return await tx.value(dict, sql, user_id=user_id, name=name)


async def put(tx: Transaction, user_id: UUID, name: str, value: Mapping[str, Any]) -> None:
    """Write one of a user's preferences."""
    sql = """
        INSERT INTO preferences (user_id, name, value) VALUES (:user_id, :name, :value)
        ON CONFLICT (user_id, name) DO UPDATE SET value = excluded.value
    """
    await tx.run(sql, user_id=user_id, name=name, value=value)
