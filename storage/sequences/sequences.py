"""Queries about sequences, their versions and steps."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Row, Select, and_, func, insert, select, true, tuple_, update
from sqlmodel import col

from domain.platform.paging import Position
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import ReplyPolicy, SequenceKind, SequenceState
from storage.platform.database import Transaction
from storage.platform.locks import lock_sequence
from storage.tables.access import User
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Sender
from storage.tables.sequences import Sequence, SequenceVersion, Step

WINDOW_JSON = Mapping[str, Many[str]]
"""A send window as ``SendWindow.dump`` writes it."""


@dataclass(frozen=True)
class StepRecord:
    """One text of a version.

    Attributes:
        position: From 1.
        body: With its merge fields.
        media_urls: At most ten.
        delay_seconds: After the text before; None in a scheduled sequence.
        at_time: Wall-clock time of the day that the delay leads to, if given.
        send_at: Naive wall-clock moment; None in an ongoing sequence.
        segments: How many segments the body takes as written.
    """

    position: int
    body: str
    media_urls: tuple[str, ...]
    delay_seconds: int | None
    at_time: time | None
    send_at: datetime | None
    segments: int


@dataclass(frozen=True)
class SequenceRecord:
    """A sequence and its current version.

    Attributes:
        send_window: As ``SendWindow.dump`` writes it; None for any time.
        version: Number of the current version, from 1.
        counts: Enrollments by status; statuses without any are left out. Empty if not asked for.
        steps: Of the current version, in order; empty in lists.
    """

    id: UUID
    name: str
    sender_id: UUID
    sender_name: str
    kind: SequenceKind
    on_reply: ReplyPolicy
    reply_window_seconds: int
    send_window: WINDOW_JSON | None
    state: SequenceState
    version: int
    version_id: UUID
    step_count: int
    created_by: UUID
    created_by_name: str
    created_at: datetime
    updated_at: datetime
    counts: Mapping[EnrollmentStatus, int]
    steps: tuple[StepRecord, ...] = ()


async def insert_sequence(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Write a new sequence's row; ``values`` by column name, ``id`` included."""
    await tx.execute(insert(Sequence).values(**values))


async def update_sequence(tx: Transaction, sequence_id: UUID, values: Mapping[str, Any]) -> None:
    """Change columns of a sequence."""
    await tx.execute(
        update(Sequence)
        .where(col(Sequence.id) == sequence_id)
        .values(**values, updated_at=func.clock_timestamp())
    )


async def add_version(
    tx: Transaction, sequence_id: UUID, steps: Many[StepRecord], created_by: UUID
) -> None:
    """Publish an edition of a sequence's steps; the caller holds the lock on the sequence."""
    newest = await tx.execute(
        select(func.coalesce(func.max(col(SequenceVersion.number)), 0)).where(
            col(SequenceVersion.sequence_id) == sequence_id
        )
    )
    version_id = uuid4()
    await tx.execute(
        insert(SequenceVersion).values(
            id=version_id,
            sequence_id=sequence_id,
            number=newest.scalar_one() + 1,
            step_count=len(steps),
            created_by=created_by,
        )
    )
    await tx.execute(
        insert(Step),
        [
            {
                "version_id": version_id,
                "position": step.position,
                "body": step.body,
                "media_urls": list(step.media_urls),
                "delay_seconds": step.delay_seconds,
                "at_time": step.at_time,
                "send_at": step.send_at,
                "segments": step.segments,
            }
            for step in steps
        ],
    )


async def lock_for_change(tx: Transaction, sequence_id: UUID) -> SequenceState | None:
    """Keep everyone else from changing a sequence, enrolling into it or sending a text of it.

    The row is locked too, for processes of a release before this one that share it.

    Returns:
        The sequence's state, None if there is no such sequence.
    """
    await lock_sequence(tx, sequence_id)
    row = await tx.execute(
        select(col(Sequence.state)).where(col(Sequence.id) == sequence_id).with_for_update()
    )
    return row.scalar_one_or_none()


async def find(
    tx: Transaction, sequence_id: UUID, *, counted: bool = True
) -> SequenceRecord | None:
    """Read one sequence with its current steps and, if asked, counts."""
    row = (await tx.execute(_sequences().where(col(Sequence.id) == sequence_id))).one_or_none()
    if row is None:
        return None
    counts = await count_by_status(tx, [sequence_id]) if counted else {}
    steps = await steps_of(tx, row.version_id)
    return _record(row, counts.get(sequence_id, {}), steps)


async def page(
    tx: Transaction,
    *,
    states: Many[SequenceState],
    search: str,
    after: Position | None,
    limit: int,
) -> list[SequenceRecord]:
    """Read sequences, newest first, without their steps.

    Args:
        tx: The transaction.
        states: Any of these; empty for all.
        search: Part of the name, in any case; empty for all.
        after: Where the page begins.
        limit: At most so many.
    """
    query = _sequences().order_by(col(Sequence.created_at).desc(), col(Sequence.id).desc())
    if states:
        query = query.where(col(Sequence.state).in_(states))
    if search:
        query = query.where(
            func.lower(col(Sequence.name)).contains(search.lower(), autoescape=True)
        )
    if after is not None:
        place = tuple_(col(Sequence.created_at), col(Sequence.id))
        query = query.where(place < (after.value, after.id))
    rows = (await tx.execute(query.limit(limit))).all()
    counts = await count_by_status(tx, [row.id for row in rows])
    return [_record(row, counts.get(row.id, {}), ()) for row in rows]


async def steps_of(tx: Transaction, version_id: UUID) -> tuple[StepRecord, ...]:
    """Read a version's steps in order."""
    steps = await tx.scalars(
        select(Step).where(col(Step.version_id) == version_id).order_by(col(Step.position))
    )
    return tuple(
        StepRecord(
            step.position,
            step.body,
            tuple(step.media_urls),
            step.delay_seconds,
            step.at_time,
            step.send_at,
            step.segments,
        )
        for step in steps
    )


async def count_by_status(
    tx: Transaction, sequence_ids: Many[UUID]
) -> dict[UUID, dict[EnrollmentStatus, int]]:
    """Count enrollments by sequence and status; what there is none of is left out."""
    rows = await tx.execute(
        select(col(Enrollment.sequence_id), col(Enrollment.status), func.count().label("total"))
        .where(col(Enrollment.sequence_id).in_(sequence_ids))
        .group_by(col(Enrollment.sequence_id), col(Enrollment.status))
    )
    counts: dict[UUID, dict[EnrollmentStatus, int]] = {}
    for row in rows:
        counts.setdefault(row.sequence_id, {})[row.status] = row.total
    return counts


async def active_ids(
    tx: Transaction, sequence_id: UUID, *, after: UUID | None, limit: int
) -> list[UUID]:
    """List enrollments of a sequence that are still active, by id, behind the one given."""
    query = (
        select(col(Enrollment.id))
        .where(
            col(Enrollment.sequence_id) == sequence_id,
            col(Enrollment.status) == EnrollmentStatus.ACTIVE,
        )
        .order_by(col(Enrollment.id))
        .limit(limit)
    )
    if after is not None:
        query = query.where(col(Enrollment.id) > after)
    return list(await tx.scalars(query))


async def names_starting(tx: Transaction, start: str) -> set[str]:
    """Tell which names that begin like this sequences have."""
    names = await tx.scalars(
        select(col(Sequence.name)).where(col(Sequence.name).startswith(start, autoescape=True))
    )
    return set(names)


async def most_steps(tx: Transaction, sequence_id: UUID) -> int:
    """Tell how many steps the longest of a sequence's versions has."""
    longest = await tx.execute(
        select(func.max(col(SequenceVersion.step_count))).where(
            col(SequenceVersion.sequence_id) == sequence_id
        )
    )
    return longest.scalar_one() or 0


async def has_sender(tx: Transaction, sender_id: UUID) -> bool:
    """Whether there is such a sender."""
    row = await tx.execute(select(col(Sender.id)).where(col(Sender.id) == sender_id))
    return row.scalar_one_or_none() is not None


def _sequences() -> Select[Any]:
    """Select sequences, each with its highest version."""
    newest = (
        select(
            col(SequenceVersion.id).label("version_id"),
            col(SequenceVersion.number).label("version"),
            col(SequenceVersion.step_count),
        )
        .where(col(SequenceVersion.sequence_id) == col(Sequence.id))
        .order_by(col(SequenceVersion.number).desc())
        .limit(1)
        .lateral("newest")
    )
    return (
        select(
            col(Sequence.id),
            col(Sequence.name),
            col(Sequence.sender_id),
            col(Sender.name).label("sender_name"),
            col(Sequence.kind),
            col(Sequence.on_reply),
            col(Sequence.reply_window_seconds),
            col(Sequence.send_window),
            col(Sequence.state),
            newest.c.version,
            newest.c.version_id,
            newest.c.step_count,
            col(Sequence.created_by),
            col(User.name).label("created_by_name"),
            col(Sequence.created_at),
            col(Sequence.updated_at),
        )
        .select_from(Sequence)
        .join(newest, true())
        .join(Sender, and_(col(Sender.id) == col(Sequence.sender_id)))
        .join(User, and_(col(User.id) == col(Sequence.created_by)))
    )


def _record(
    row: Row[Any], counts: Mapping[EnrollmentStatus, int], steps: tuple[StepRecord, ...]
) -> SequenceRecord:
    return SequenceRecord(**row._mapping, counts=counts, steps=steps)  # noqa: SLF001 - SQLAlchemy's public name
