"""Queries of the steps that users are writing and have not saved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from storage.platform.database import Transaction


@dataclass(frozen=True)
class DraftRecord:
    """Steps that a user is writing.

    Attributes:
        version: Number of the version that they began with.
        content: As the form has them.
        saved_at: UTC.
    """

    version: int
    content: Mapping[str, Any]
    saved_at: datetime


@dataclass(frozen=True)
class Publisher:
    """Who saved a version of the steps, and when."""

    version: int
    name: str
    at: datetime


async def put(
    tx: Transaction, sequence_id: UUID, user_id: UUID, version: int, content: Mapping[str, Any]
) -> datetime:
    """Write a user's draft over the one before; return when, by the database's clock."""
    sql = """
        INSERT INTO sequence_drafts (sequence_id, user_id, version, content, saved_at)
        VALUES (:sequence_id, :user_id, :version, :content, clock_timestamp())
        ON CONFLICT (sequence_id, user_id) DO UPDATE
        SET version = excluded.version, content = excluded.content, saved_at = excluded.saved_at
        RETURNING saved_at
    """
    given = {"sequence_id": sequence_id, "user_id": user_id, "version": version}
    saved_at: datetime = (await tx.run(sql, **given, content=content)).scalar_one()
    return saved_at


async def get(tx: Transaction, sequence_id: UUID, user_id: UUID) -> DraftRecord | None:
    """Read a user's draft, if they have one."""
    sql = """
        SELECT version, content, saved_at FROM sequence_drafts
        WHERE sequence_id = :sequence_id AND user_id = :user_id
    """
    return await tx.one(DraftRecord, sql, sequence_id=sequence_id, user_id=user_id)


async def forget(tx: Transaction, sequence_id: UUID, user_id: UUID) -> None:
    """Delete a user's draft, if they have one."""
    sql = "DELETE FROM sequence_drafts WHERE sequence_id = :sequence_id AND user_id = :user_id"
    await tx.run(sql, sequence_id=sequence_id, user_id=user_id)


async def forget_of_page(tx: Transaction, sequence_id: UUID, user_id: UUID, page: str) -> None:
    """Delete a user's draft, if a page wrote it; see ``services.sequences.drafts.Draft``."""
    sql = """
        DELETE FROM sequence_drafts WHERE sequence_id = :sequence_id AND user_id = :user_id
        AND coalesce(content->>'page', '') = :page
    """
    await tx.run(sql, sequence_id=sequence_id, user_id=user_id, page=page)


async def publishers(tx: Transaction, sequence_id: UUID, *, after: int) -> list[Publisher]:
    """List who saved the versions after one, the latest first."""
    sql = """
        SELECT v.number AS version, u.name, v.created_at AS at
        FROM sequence_versions v JOIN users u ON u.id = v.created_by
        WHERE v.sequence_id = :sequence_id AND v.number > :after
        ORDER BY v.number DESC LIMIT 10
    """
    return await tx.rows(Publisher, sql, sequence_id=sequence_id, after=after)
