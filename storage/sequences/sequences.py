"""Queries about sequences, their versions and steps."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from functools import cache
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Select, and_, bindparam, func, insert, select, true, update
from sqlmodel import col

from domain.platform.names import Named
from domain.platform.paging import Position
from domain.sequences.sending_hours import SendingHours
from domain.sequences.steps import patience
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import (
    CountsAsReply,
    LatePolicy,
    Purpose,
    ReplyPolicy,
    SequenceKind,
    SequenceState,
)
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.platform.locks import lock_sequence
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.messaging import Sender
from storage.tables.sequences import Sequence, SequenceVersion, Step

WINDOW_JSON = Mapping[str, Many[str]]
"""A send window as ``SendWindow.dump`` writes it."""


def hours_sql(sequences: str = "q") -> str:
    """SQL: what ``SendingHours.parse`` reads, of a row of ``sequences`` by that name."""
    return f"""jsonb_build_object(
        'window', {sequences}.send_window, 'purpose', {sequences}.purpose,
        'packs', (SELECT w.rule_packs FROM workspace w WHERE w.id = 1),
        'texts_per_day', (SELECT w.texts_per_day FROM workspace w WHERE w.id = 1)
    )"""  # noqa: S608 - a name written in this repository


@dataclass(frozen=True)
class StepRecord:
    """One text of a version.

    Attributes:
        position: From 1.
        body: With its merge fields.
        delay_seconds: After the text before; None in a scheduled sequence.
        at_time: Wall-clock time of day at which the delay ends, if given.
        send_at: Naive wall-clock moment; None in an ongoing sequence.
        segments: Of the body as written.
        anchor_key: Of the date that times it instead.
        anchor_offset_seconds: From that date; negative for before.
        late_hours: With ``expire`` only.
    """

    position: int
    body: str
    media_urls: tuple[str, ...]
    delay_seconds: int | None
    at_time: time | None
    send_at: datetime | None
    segments: int
    anchor_key: str | None
    anchor_offset_seconds: int | None
    late: LatePolicy
    late_hours: int | None

    @property
    def patience(self) -> timedelta | None:
        """How long after its time it may still go; None for whenever."""
        return patience(self.late, self.late_hours)


@dataclass(frozen=True, kw_only=True)
class SequenceRecord:
    """A sequence and its current version.

    Attributes:
        send_window: As ``SendWindow.dump`` writes it; None for any time.
        version: Number of the current version, from 1.
        counts: Enrollments by status, all eight; empty if not asked for.
        steps: Of the current version, in order; empty in lists.
    """

    id: UUID
    name: str
    sender_id: UUID
    sender_name: str
    kind: SequenceKind
    on_reply: ReplyPolicy
    counts_as_reply: CountsAsReply
    purpose: Purpose
    reply_window_seconds: int
    send_window: WINDOW_JSON | None
    state: SequenceState
    version: int
    version_id: UUID
    step_count: int
    created_by_id: UUID
    created_by_name: str
    created_at: datetime
    updated_at: datetime
    counts: Mapping[EnrollmentStatus, int] = field(default_factory=dict)
    steps: tuple[StepRecord, ...] = ()

    @property
    def created_by(self) -> Named:
        """Who wrote it."""
        return Named(self.created_by_id, self.created_by_name)

    @property
    def total(self) -> int:
        """Everyone who was ever enrolled."""
        return sum(self.counts.values())


async def insert_sequence(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Insert a sequence; ``values`` by column name, ``id`` included."""
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
    """Insert the next version of a sequence's steps; the caller holds the sequence's lock."""
    sql = """
        INSERT INTO sequence_versions (id, sequence_id, number, step_count, created_by)
        SELECT :id, :sequence_id, 1 + coalesce(max(number), 0), :step_count, :created_by
        FROM sequence_versions WHERE sequence_id = :sequence_id
    """
    version_id = uuid4()
    asked = {"sequence_id": sequence_id, "step_count": len(steps), "created_by": created_by}
    await tx.run(sql, id=version_id, **asked)
    rows = [{**vars(one), "version_id": version_id} for one in steps]
    await tx.execute(insert(Step), rows)


async def lock_for_change(tx: Transaction, sequence_id: UUID) -> SequenceState | None:
    """Lock a sequence against changes, enrolling and sending; give its state, None if unknown.

    The row is locked as well, for processes of the previous release, which lock nothing else.
    """
    await lock_sequence(tx, sequence_id)
    sql = "SELECT state FROM sequences WHERE id = :id FOR UPDATE"
    return await tx.value(SequenceState, sql, id=sequence_id)


async def find(
    tx: Transaction, sequence_id: UUID, *, counted: bool = True
) -> SequenceRecord | None:
    """Read one sequence with its current steps and, if asked, its counts; None if unknown."""
    found = await tx.one(SequenceRecord, _one(), id=sequence_id)
    if found is None:
        return None
    counts = (await count_by_status(tx, [sequence_id]))[sequence_id] if counted else {}
    return replace(found, counts=counts, steps=await steps_of(tx, found.version_id))


@cache
def _one() -> Fixed:
    return Fixed(_sequences().where(col(Sequence.id) == bindparam("id")))


async def page(
    tx: Transaction, *, states: Many[SequenceState], search: str, after: Position | None, limit: int
) -> list[SequenceRecord]:
    """Read sequences, newest first, without their steps.

    ``states`` empty means all; ``search`` is part of the name, in any case.
    """
    query = paged(_sequences(), col(Sequence.created_at), col(Sequence.id), after, down=True)
    if states:
        query = query.where(col(Sequence.state).in_(states))
    if search:
        query = query.where(
            func.lower(col(Sequence.name)).contains(search.lower(), autoescape=True)
        )
    found = await tx.rows(SequenceRecord, query.limit(limit))
    counts = await count_by_status(tx, [one.id for one in found])
    return [replace(one, counts=counts[one.id]) for one in found]


async def date_fields(tx: Transaction) -> list[str]:
    """List the keys of the contacts' fields that are dates, by which steps may go."""
    sql = "SELECT key FROM contact_fields WHERE type = 'date' AND removed_at IS NULL ORDER BY key"
    return await tx.column(sql)


async def steps_of(tx: Transaction, version_id: UUID) -> tuple[StepRecord, ...]:
    """Read a version's steps in order."""
    query = select(*columns_of(StepRecord, Step)).where(col(Step.version_id) == version_id)
    return tuple(await tx.rows(StepRecord, query.order_by(col(Step.position))))


async def count_by_status(
    tx: Transaction, sequence_ids: Many[UUID]
) -> dict[UUID, dict[EnrollmentStatus, int]]:
    """Count the enrollments of sequences by status; every sequence asked for has all eight."""
    sql = """
        SELECT sequence_id, status, sum(change) FROM enrollment_counts WHERE sequence_id = ANY(:ids)
        GROUP BY 1, 2
    """
    counts = {one: dict.fromkeys(EnrollmentStatus, 0) for one in sequence_ids}
    for sequence_id, status, total in await tx.run(sql, ids=sequence_ids):
        counts[sequence_id][EnrollmentStatus(status)] = total
    return counts


async def active_ids(
    tx: Transaction, sequence_id: UUID, *, after: UUID | None, limit: int
) -> list[UUID]:
    """List a sequence's active enrollments by id, after the one given."""
    sql = """
        SELECT id FROM enrollments WHERE sequence_id = :sequence_id AND status = 'active'
        AND id > coalesce(CAST(:after AS uuid), '00000000-0000-0000-0000-000000000000')
        ORDER BY id LIMIT :limit
    """
    return await tx.column(sql, sequence_id=sequence_id, after=after, limit=limit)


@dataclass(frozen=True)
class BoundSequence:
    """A sequence that the law binds."""

    id: UUID
    name: str
    hours: SendingHours


async def bound_by_law(tx: Transaction) -> list[BoundSequence]:
    """Read the sequences of marketing texts that are not archived, by name."""
    sql = f"""
        SELECT q.id, q.name, {hours_sql()} AS hours FROM sequences q
        WHERE q.purpose = 'marketing' AND q.state <> 'archived' ORDER BY lower(q.name), q.id
    """  # noqa: S608 - built from constants
    return await tx.rows(BoundSequence, sql)


async def names_starting(tx: Transaction, start: str) -> set[str]:
    """Read the names of sequences that start with a text."""
    sql = "SELECT name FROM sequences WHERE starts_with(name, :start)"
    return set(await tx.column(sql, start=start))


async def most_steps(tx: Transaction, sequence_id: UUID) -> int:
    """Count the steps of a sequence's longest version."""
    sql = "SELECT max(step_count) FROM sequence_versions WHERE sequence_id = :id"
    return await tx.value(int, sql, id=sequence_id) or 0


async def has_sender(tx: Transaction, sender_id: UUID) -> bool:
    """Whether there is such a sender."""
    sql = "SELECT id FROM senders WHERE id = :id"
    return await tx.value(UUID, sql, id=sender_id) is not None


@cache
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
            *columns_of(
                SequenceRecord,
                Sequence,
                sender_name=col(Sender.name),
                version=newest.c.version,
                version_id=newest.c.version_id,
                step_count=newest.c.step_count,
                created_by_id=col(Sequence.created_by),
                created_by_name=col(User.name),
            )
        )
        .select_from(Sequence)
        .join(newest, true())
        .join(Sender, and_(col(Sender.id) == col(Sequence.sender_id)))
        .join(User, and_(col(User.id) == col(Sequence.created_by)))
    )


async def names_with_merge_field(tx: Transaction, name: str) -> list[str]:
    """List, by name, the sequences that are not archived and have ``{{name}}`` in a step.

    That is a step of the current version, or of one that somebody is active in. ``name`` is of
    small letters, digits and ``_``.
    """
    sql = r"""
        SELECT q.name FROM sequences q
        WHERE q.state <> 'archived' AND EXISTS (
            SELECT FROM steps t JOIN sequence_versions v ON v.id = t.version_id
            WHERE v.sequence_id = q.id AND t.body ~ ('\{\{\s*' || :name || '\s*[|:}]') AND (
                NOT EXISTS (
                    SELECT FROM sequence_versions later
                    WHERE later.sequence_id = q.id AND later.number > v.number
                ) OR EXISTS (
                    SELECT FROM enrollments e WHERE e.version_id = v.id AND e.status = 'active'
                )
            )
        )
        ORDER BY lower(q.name), q.id
    """
    return await tx.column(sql, name=name)
