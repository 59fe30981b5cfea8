"""The outbox: what Temporal must be told, written with the fact that causes it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlalchemy.types import Uuid
from sqlmodel import col

from domain.statuses import EnrollmentStatus
from storage import traces
from storage.database import Transaction
from storage.tables import OutboxEntry, Sender


class OutboxKind(StrEnum):
    """What an outbox entry asks for; ``subject_id`` is the thing in brackets."""

    START_ENROLLMENT = "start_enrollment"  # (enrollment)
    SIGNAL_ENROLLMENT = "signal_enrollment"  # (enrollment), payload: signal, status
    START_MESSAGE = "start_message"  # (message)
    PACE_SENDER = "pace_sender"  # (sender)
    WAKE_EVENTS = "wake_events"  # (event endpoint)
    START_JOB = "start_job"  # (job)


@dataclass(frozen=True)
class Entry:
    """One outbox entry taken for delivery.

    Attributes:
        id: Ascending in the order of writing.
        kind: What to do.
        subject_id: To what.
        payload: Codes and ids only.
        tries: Deliveries that failed so far.
        traceparent: The trace it was written in, if any.
    """

    id: int
    kind: OutboxKind
    subject_id: UUID
    payload: Mapping[str, Any]
    tries: int
    traceparent: str | None = None


_ADD = text(
    """
    INSERT INTO outbox (kind, subject_id, payload, traceparent)
    SELECT :kind, subject_id, CAST(:payload AS jsonb), :traceparent
    FROM unnest(:subject_ids) AS subject_id
    """
).bindparams(bindparam("subject_ids", type_=ARRAY(Uuid())))


async def _add(
    tx: Transaction,
    kind: OutboxKind,
    subject_ids: Sequence[UUID],
    payload: Mapping[str, Any] | None = None,
) -> None:
    if not subject_ids:
        return
    await tx.execute(
        _ADD,
        {
            "kind": kind.value,
            "subject_ids": list(subject_ids),
            "payload": json.dumps(dict(payload or {})),
            "traceparent": traces.current(),
        },
    )


async def add_starts(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Ask for the workflows of enrollments to be started."""
    await _add(tx, OutboxKind.START_ENROLLMENT, enrollment_ids)


async def add_signals(
    tx: Transaction,
    enrollment_ids: Sequence[UUID],
    signal: str,
    status: EnrollmentStatus | None = None,
) -> None:
    """Ask for a signal to enrollments' workflows; ``status`` is how they ended, if they did."""
    payload = {"signal": signal, "status": status.value if status else None}
    await _add(tx, OutboxKind.SIGNAL_ENROLLMENT, enrollment_ids, payload)


async def add_message_starts(tx: Transaction, message_ids: Sequence[UUID]) -> None:
    """Ask for the workflows of one-off texts to be started."""
    await _add(tx, OutboxKind.START_MESSAGE, message_ids)


async def add_job_starts(tx: Transaction, job_ids: Sequence[UUID]) -> None:
    """Ask for the workflows of jobs to be started."""
    await _add(tx, OutboxKind.START_JOB, job_ids)


async def add_pace(tx: Transaction, sender_id: UUID) -> None:
    """Ask Temporal to pace a sender anew, after its rate or its longest step changed."""
    await _add(tx, OutboxKind.PACE_SENDER, [sender_id])


async def add_all_paces(tx: Transaction) -> None:
    """Ask Temporal to pace every sender anew: a new server knows none of them."""
    ids = (await tx.execute(select(col(Sender.id)))).scalars().all()
    await _add(tx, OutboxKind.PACE_SENDER, ids)


async def add_event_wakes(tx: Transaction, endpoint_ids: Sequence[UUID]) -> None:
    """Ask for the events that wait for endpoints to be delivered."""
    await _add(tx, OutboxKind.WAKE_EVENTS, endpoint_ids)


async def same_wakes(tx: Transaction, endpoint_ids: Sequence[UUID]) -> list[tuple[int, UUID]]:
    """Lock every entry there is now that asks to wake these endpoints: one call answers them all.

    Those written later are not among them, for their events may be seen too late by that call.
    """
    if not endpoint_ids:
        return []
    rows = await tx.execute(
        select(col(OutboxEntry.id), col(OutboxEntry.subject_id))
        .where(
            col(OutboxEntry.subject_id).in_(endpoint_ids),
            col(OutboxEntry.kind) == OutboxKind.WAKE_EVENTS.value,
        )
        .with_for_update(skip_locked=True)
    )
    return [(row.id, row.subject_id) for row in rows]


async def take(tx: Transaction, limit: int) -> list[Entry]:
    """Lock the oldest entries that are due and that nobody else is delivering.

    Of one subject only the oldest, so that its entries keep their order though one is postponed or
    with another drainer. They stay locked until the transaction ends, so a drainer that dies gives
    them back.
    """
    older = aliased(OutboxEntry)
    rows = await tx.execute(
        select(
            col(OutboxEntry.id),
            col(OutboxEntry.kind),
            col(OutboxEntry.subject_id),
            col(OutboxEntry.payload),
            col(OutboxEntry.tries),
            col(OutboxEntry.traceparent),
        )
        .where(
            col(OutboxEntry.next_try_at) <= func.now(),
            ~exists().where(
                col(older.subject_id) == col(OutboxEntry.subject_id),
                col(older.id) < col(OutboxEntry.id),
            ),
        )
        .order_by(col(OutboxEntry.id))
        .limit(limit)
        .with_for_update(skip_locked=True, of=OutboxEntry)
    )
    return [
        Entry(
            row.id,
            OutboxKind(row.kind),
            row.subject_id,
            row.payload,
            row.tries,
            row.traceparent,
        )
        for row in rows
    ]


async def remove(tx: Transaction, entry_ids: Sequence[int]) -> None:
    """Forget entries that Temporal acknowledged."""
    if entry_ids:
        await tx.execute(delete(OutboxEntry).where(col(OutboxEntry.id).in_(entry_ids)))


async def postpone(tx: Transaction, entry_ids: Sequence[int], delay: timedelta) -> None:
    """Try entries again later."""
    if entry_ids:
        await tx.execute(
            update(OutboxEntry)
            .where(col(OutboxEntry.id).in_(entry_ids))
            .values(tries=col(OutboxEntry.tries) + 1, next_try_at=func.now() + delay)
        )


async def oldest_age(tx: Transaction) -> timedelta | None:
    """How long the oldest entry has been waiting, None when the outbox is empty."""
    row = await tx.execute(select(func.now(), func.min(col(OutboxEntry.created_at))))
    now, oldest = row.one()
    return now - oldest if oldest is not None else None
