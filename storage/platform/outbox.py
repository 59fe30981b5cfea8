"""The outbox: what Temporal must be told, written with the fact that causes it.

The commit of whatever writes an entry wakes the drainer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentStatus
from storage.platform import traces
from storage.platform.database import Transaction, Written, note
from storage.tables.platform import OutboxEntry, ParkedReason


class OutboxKind(StrEnum):
    """What an outbox entry asks for; ``subject_id`` is the thing in brackets."""

    START_ENROLLMENT = "start_enrollment"  # (enrollment)
    SIGNAL_ENROLLMENT = "signal_enrollment"  # (enrollment), payload: signal, status
    START_MESSAGE = "start_message"  # (message)
    PACE_SENDER = "pace_sender"  # (sender)
    WAKE_EVENTS = "wake_events"  # (event endpoint)
    START_JOB = "start_job"  # (job)

    @property
    def priority(self) -> int:
        """Which go first: a person's own text, then all else, then starts by the hundred."""
        match self:
            case OutboxKind.START_MESSAGE:
                return 1
            case OutboxKind.START_ENROLLMENT:
                return 3
            case _:
                return 2


@dataclass(frozen=True)
class Entry:
    """One outbox entry taken for delivery.

    Attributes:
        id: Ascending in the order of writing.
        kind: None if this build does not know the entry's kind.
        payload: Codes and ids only.
        tries: Failed deliveries so far.
    """

    id: int
    kind: OutboxKind | None
    subject_id: UUID
    payload: Mapping[str, Any]
    tries: int
    traceparent: str | None = None


_ADD = """
    WITH forgotten AS (
        DELETE FROM outbox WHERE parked_at IS NOT NULL AND kind = :kind
        AND subject_id = ANY(:subject_ids)
    )
    INSERT INTO outbox (kind, priority, subject_id, payload, traceparent)
    SELECT :kind, :priority, subject_id, '{}', :traceparent
    FROM unnest(CAST(:subject_ids AS uuid[])) AS subject_id
"""
"""A new request replaces a parked one of the same kind; but signals may differ."""


async def _add(tx: Transaction, kind: OutboxKind, subject_ids: Sequence[UUID]) -> None:
    if not subject_ids:
        return
    await tx.run(
        _ADD,
        kind=kind,
        priority=kind.priority,
        subject_ids=subject_ids,
        traceparent=traces.current(),
    )
    note(tx, Written.OUTBOX)


async def add_starts(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Ask for the workflows of enrollments to be started."""
    await _add(tx, OutboxKind.START_ENROLLMENT, enrollment_ids)


_ADD_SIGNALS = """
    INSERT INTO outbox (kind, priority, subject_id, payload, traceparent)
    SELECT :kind, :priority, subject_id,
        jsonb_build_object('signal', signal, 'status', status), :traceparent
    FROM unnest(
        CAST(:subject_ids AS uuid[]), CAST(:signals AS text[]), CAST(:statuses AS text[])
    ) AS told(subject_id, signal, status)
"""


@dataclass(frozen=True)
class Signal:
    """A signal to an enrollment's workflow; ``status`` is how it ended, if it did."""

    enrollment_id: UUID
    name: str
    status: EnrollmentStatus | None = None


async def add_signals(
    tx: Transaction,
    enrollment_ids: Sequence[UUID],
    signal: str,
    status: EnrollmentStatus | None = None,
) -> None:
    """Ask for the same signal to enrollments' workflows; see ``Signal``."""
    await add_each_signal(tx, [Signal(one, signal, status) for one in enrollment_ids])


async def add_each_signal(tx: Transaction, signals: Sequence[Signal]) -> None:
    """Ask for signals to enrollments' workflows."""
    if not signals:
        return
    kind = OutboxKind.SIGNAL_ENROLLMENT
    await tx.run(
        _ADD_SIGNALS,
        kind=kind,
        priority=kind.priority,
        subject_ids=[one.enrollment_id for one in signals],
        signals=[one.name for one in signals],
        statuses=[one.status for one in signals],
        traceparent=traces.current(),
    )
    note(tx, Written.OUTBOX)


async def add_message_starts(tx: Transaction, message_ids: Sequence[UUID]) -> None:
    """Ask for the workflows of one-off texts to be started."""
    await _add(tx, OutboxKind.START_MESSAGE, message_ids)


async def add_job_starts(tx: Transaction, job_ids: Sequence[UUID]) -> None:
    """Ask for the workflows of jobs to be started."""
    await _add(tx, OutboxKind.START_JOB, job_ids)


async def add_paces(tx: Transaction, sender_ids: Sequence[UUID]) -> None:
    """Ask Temporal to pace senders anew, after a rate or the longest step of one changed."""
    await _add(tx, OutboxKind.PACE_SENDER, sender_ids)


async def add_event_wakes(tx: Transaction, endpoint_ids: Sequence[UUID]) -> None:
    """Ask for the pending events of endpoints to be delivered."""
    await _add(tx, OutboxKind.WAKE_EVENTS, endpoint_ids)


async def same_wakes(tx: Transaction, endpoint_ids: Sequence[UUID]) -> list[tuple[int, UUID]]:
    """Lock every entry that asks to wake these endpoints: one call serves them all.

    Not those written later, whose events that call may be too early to see.
    """
    if not endpoint_ids:
        return []
    sql = """
        SELECT id, subject_id FROM outbox
        WHERE subject_id = ANY(:ids) AND kind = 'wake_events' AND parked_at IS NULL
        FOR UPDATE SKIP LOCKED
    """
    return [(row.id, row.subject_id) for row in await tx.run(sql, ids=endpoint_ids)]


TAKE = """
    SELECT o.id, o.kind, o.subject_id, o.payload, o.tries, o.traceparent
    FROM outbox o
    WHERE o.parked_at IS NULL AND o.next_try_at <= now() AND o.id = (
        SELECT min(first.id) FROM outbox first
        WHERE first.subject_id = o.subject_id AND first.parked_at IS NULL
    )
    ORDER BY o.priority, o.id LIMIT :limit
    FOR UPDATE OF o SKIP LOCKED
"""
"""Each row is compared with the first of its subject by one index lookup: rows of one subject may
pile up, and comparing each with each took a minute for 30,000."""


async def take(tx: Transaction, limit: int) -> list[Entry]:
    """Lock the first due entries that nobody else is delivering.

    Of one subject only the oldest: its entries keep their order even if one is postponed or with
    another drainer. They stay locked until the transaction ends, so a drainer that dies returns
    them.
    """
    return [
        Entry(row.id, _known(row.kind), row.subject_id, row.payload, row.tries, row.traceparent)
        for row in await tx.run(TAKE, limit=limit)
    ]


def _known(kind: str) -> OutboxKind | None:
    return OutboxKind(kind) if kind in set(OutboxKind) else None


async def remove(tx: Transaction, entry_ids: Sequence[int]) -> None:
    """Remove entries that Temporal acknowledged."""
    if entry_ids:
        await tx.execute(delete(OutboxEntry).where(col(OutboxEntry.id).in_(entry_ids)))


async def postpone(tx: Transaction, entry_id: int, delay: timedelta) -> None:
    """Try an entry again later."""
    await _change(tx, entry_id, tries=col(OutboxEntry.tries) + 1, next_try_at=func.now() + delay)


async def park(tx: Transaction, entry_id: int, reason: ParkedReason) -> None:
    """Stop trying an entry, so that those behind it go on."""
    await _change(tx, entry_id, parked_at=func.now(), parked_reason=reason)


async def _change(tx: Transaction, entry_id: int, **values: object) -> None:
    await tx.run(update(OutboxEntry).where(col(OutboxEntry.id) == entry_id).values(**values))


_PARKED = col(OutboxEntry.parked_at).is_not(None)
_UNPARKED = {"parked_at": None, "parked_reason": None, "next_try_at": func.now()}


async def unpark_known(tx: Transaction) -> None:
    """Unpark entries of kinds that an older build did not know."""
    unknown = col(OutboxEntry.parked_reason) == ParkedReason.UNKNOWN_KIND.value
    kinds = col(OutboxEntry.kind).in_([kind.value for kind in OutboxKind])
    await tx.execute(update(OutboxEntry).where(_PARKED, unknown, kinds).values(**_UNPARKED))


async def unpark_all(tx: Transaction) -> int:
    """Try every parked entry again, after its cause was fixed; return how many."""
    return await tx.count(update(OutboxEntry).where(_PARKED).values(**_UNPARKED, tries=0))


async def parked(tx: Transaction, limit: int) -> list[OutboxEntry]:
    """List parked entries, the oldest first."""
    query = select(OutboxEntry).where(_PARKED).order_by(col(OutboxEntry.id)).limit(limit)
    return await tx.column(query)
