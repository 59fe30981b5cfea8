"""The audit log: who did what to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlmodel import col

from storage.platform.database import Transaction, as_json
from storage.tables.access import User
from storage.tables.platform import AuditEntry


async def add(
    tx: Transaction,
    *,
    user_id: UUID | None,
    token_id: UUID | None,
    address: str | None,
    action: str,
    subject_kind: str | None,
    subject_ids: Sequence[UUID | None],
    details: Sequence[Mapping[str, Any]],
) -> None:
    """Add an entry for each subject; ``details`` are its own, or a single one for all."""
    if not subject_ids:
        return
    sql = """
        INSERT INTO audit_log
            (user_id, token_id, address, action, subject_kind, subject_id, detail)
        SELECT :user_id, :token_id, :address, :action, :subject_kind, subject_id,
            coalesce(own, :detail)
        FROM unnest(CAST(:subject_ids AS uuid[]), CAST(:own AS jsonb[]))
            AS one(subject_id, own)
    """
    await tx.run(
        sql,
        user_id=user_id,
        token_id=token_id,
        address=address,
        action=action,
        subject_kind=subject_kind,
        subject_ids=subject_ids,
        detail=details[0],
        own=[as_json(one) for one in details] if len(details) > 1 else [],
    )


@dataclass(frozen=True)
class AuditFilter:
    """Which entries: of all that are given; ``since`` is included, ``until`` is not."""

    user_id: UUID | None = None
    action: str | None = None
    subject_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None


class AuditRow(NamedTuple):
    """An entry, and the name of who did it."""

    entry: AuditEntry
    user_name: str | None


async def find(
    tx: Transaction, wanted: AuditFilter, *, before_id: int | None, limit: int
) -> list[AuditRow]:
    """List entries, the newest first."""
    query = (
        select(AuditEntry, col(User.name))
        .join(User, col(User.id) == col(AuditEntry.user_id), isouter=True)
        .order_by(col(AuditEntry.id).desc())
        .limit(limit)
    )
    for name in ("user_id", "action", "subject_id"):
        if (value := getattr(wanted, name)) is not None:
            query = query.where(getattr(AuditEntry, name) == value)
    if wanted.since is not None:
        query = query.where(col(AuditEntry.at) >= wanted.since)
    if wanted.until is not None:
        query = query.where(col(AuditEntry.at) < wanted.until)
    if before_id is not None:
        query = query.where(col(AuditEntry.id) < before_id)
    return [AuditRow(*row) for row in await tx.execute(query)]
