"""The audit log: who did what to whom."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.orm import aliased
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
    """An entry, and the name of who did it; ``entries`` is how many were written as one act."""

    entry: AuditEntry
    user_name: str | None
    entries: int = 1


async def find(
    tx: Transaction, wanted: AuditFilter, *, before_id: int | None, limit: int
) -> list[AuditRow]:
    """List entries, the newest first."""
    query = (
        select(AuditEntry, col(User.name))
        .join(User, col(User.id) == col(AuditEntry.user_id), isouter=True)
        .where(*_conditions(wanted, AuditEntry))
        .order_by(col(AuditEntry.id).desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(col(AuditEntry.id) < before_id)
    return [AuditRow(*row) for row in await tx.execute(query)]


async def find_acts(
    tx: Transaction, wanted: AuditFilter, *, before_id: int | None, limit: int
) -> list[AuditRow]:
    """List acts, the newest first: the last entry of each, and how many it has of those wanted.

    An act on many subjects has an entry for each, written by one user in one transaction, whose
    time they all have.
    """
    other = aliased(AuditEntry)
    of_act = and_(*_same_act(other), *_conditions(wanted, other))
    count = select(func.count()).select_from(other).where(of_act).scalar_subquery()
    # With a limit it stays a look-up by index for each row; as a join it could read the whole log.
    later = select(col(other.id)).where(of_act, col(other.id) > col(AuditEntry.id)).limit(1)
    query = (
        select(AuditEntry, col(User.name), count)
        .join(User, col(User.id) == col(AuditEntry.user_id), isouter=True)
        .where(*_conditions(wanted, AuditEntry), later.scalar_subquery().is_(None))
        .order_by(col(AuditEntry.id).desc())
        .limit(limit)
    )
    if before_id is not None:
        query = query.where(col(AuditEntry.id) < before_id)
    return [AuditRow(*row) for row in await tx.execute(query)]


async def last_user(tx: Transaction, action: str, subject_id: UUID) -> UUID | None:
    """Tell who did this last to a subject; None if nobody who was signed in."""
    sql = """
        SELECT user_id FROM audit_log WHERE action = :action AND subject_id = :subject_id
        ORDER BY id DESC LIMIT 1
    """
    return await tx.value(UUID, sql, action=action, subject_id=subject_id)


async def only_sequences(tx: Transaction, entry_ids: Collection[int]) -> dict[int, UUID]:
    """Find the sequence that all enrollments of an act are in, by the act's last entry."""
    sql = """
        SELECT e.id, min(CAST(n.sequence_id AS text)) AS sequence_id
        FROM audit_log e
        JOIN audit_log o ON o.at = e.at AND o.action = e.action
            AND o.user_id IS NOT DISTINCT FROM e.user_id
            AND o.token_id IS NOT DISTINCT FROM e.token_id
        JOIN enrollments n ON n.id = o.subject_id
        WHERE e.id = ANY(:ids)
        GROUP BY e.id HAVING count(DISTINCT n.sequence_id) = 1
    """
    return {row.id: UUID(row.sequence_id) for row in await tx.run(sql, ids=entry_ids)}


def _conditions(wanted: AuditFilter, entry: Any) -> Iterator[ColumnElement[bool]]:  # noqa: ANN401 - the table or an alias
    for name in ("user_id", "action", "subject_id"):
        if (value := getattr(wanted, name)) is not None:
            yield getattr(entry, name) == value
    if wanted.since is not None:
        yield col(entry.at) >= wanted.since
    if wanted.until is not None:
        yield col(entry.at) < wanted.until


def _same_act(other: Any) -> Iterator[ColumnElement[bool]]:  # noqa: ANN401 - an alias
    yield col(other.at) == col(AuditEntry.at)
    yield col(other.action) == col(AuditEntry.action)
    yield col(other.user_id).is_not_distinct_from(col(AuditEntry.user_id))
    yield col(other.token_id).is_not_distinct_from(col(AuditEntry.token_id))
