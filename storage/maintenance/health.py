"""What says at a glance how a deployment stands; every statement reads a partial index."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from domain.statuses.enrollments import HeldReason
from storage.platform.database import Transaction
from storage.platform.outbox import OutboxKind

_COUNTS = text(
    """
    SELECT
        (SELECT count(*) FROM senders WHERE held_at IS NOT NULL) AS senders_on_hold,
        (
            SELECT count(*) FROM enrollments
            WHERE status = 'active' AND coalesce(next_send_at, reply_until) < now() - :grace
        ) AS overdue,
        (SELECT count(*) FROM outbox WHERE parked_at IS NULL) AS outbox,
        (SELECT now() - min(created_at) FROM outbox WHERE parked_at IS NULL) AS outbox_age,
        (SELECT now() - min(fetched_until) FROM catch_up_lists) AS fetch_lag,
        (SELECT count(*) FROM inbound_events WHERE applied_at IS NULL) AS texts,
        (SELECT count(*) FROM status_events WHERE applied_at IS NULL) AS reports,
        (SELECT count(*) FROM attempts WHERE outcome IN ('open', 'unknown')) AS unsettled,
        (SELECT count(*) FROM attempts WHERE doubled_at IS NOT NULL) AS doubled,
        (
            SELECT count(*) FROM event_deliveries
            WHERE delivered_at IS NULL AND given_up_at IS NULL
        ) AS events
    """
)

_PARKED = text(
    "SELECT kind, count(*) AS count FROM outbox WHERE parked_at IS NOT NULL GROUP BY kind"
)

_HELD = text(
    """
    SELECT held_reason, count(*) AS count FROM enrollments
    WHERE blocked AND activity = 'held' GROUP BY held_reason
    """
)

_HELD_ENROLLMENTS = text(
    """
    SELECT e.id, q.name, e.position, e.held_reason, e.held_code
    FROM enrollments e JOIN sequences q ON q.id = e.sequence_id
    WHERE e.blocked AND e.activity = 'held' ORDER BY e.held_reason, e.enrolled_at, e.id LIMIT :limit
    """
)

OVERDUE = timedelta(minutes=5)
"""How far past its next event an enrollment may be before it counts as overdue."""


@dataclass(frozen=True)
class Counts:
    """How many of each there are now.

    Attributes:
        held: Enrollments that wait for a person; every reason is there.
        senders_on_hold: Senders on hold.
        overdue: Active enrollments whose next event is overdue.
        outbox: Entries Temporal has not taken and is to be given.
        outbox_age: How long the oldest of them has waited.
        parked: Entries that it is not given any more, by kind; ``unknown`` for those of no kind
            that this build knows.
        fetch_lag: How long ago the texts were sent up to which every list of them was read.
        unapplied_texts: Inbound texts without their effect.
        unapplied_reports: Status reports without their effect.
        unsettled: Attempts whose outcome is not known.
        doubled: Texts that went out twice.
        waiting_events: Deliveries to event endpoints that are neither made nor given up.
    """

    held: Mapping[HeldReason, int]
    senders_on_hold: int
    overdue: int
    outbox: int
    outbox_age: timedelta
    parked: Mapping[str, int]
    fetch_lag: timedelta
    unapplied_texts: int
    unapplied_reports: int
    unsettled: int
    doubled: int
    waiting_events: int


@dataclass(frozen=True)
class HeldEnrollment:
    """One enrollment that waits for a person.

    Attributes:
        id: Which.
        sequence: The name of its sequence.
        step: The step that waits, from 1.
        reason: Why.
        code: The provider's error code behind it, if there is one.
    """

    id: UUID
    sequence: str
    step: int
    reason: HeldReason
    code: int | None


async def held(tx: Transaction, limit: int) -> Sequence[HeldEnrollment]:
    """List enrollments that wait for a person, by reason, the longest enrolled first."""
    rows = await tx.execute(_HELD_ENROLLMENTS, {"limit": limit})
    return [
        HeldEnrollment(row.id, row.name, row.position, HeldReason(row.held_reason), row.held_code)
        for row in rows
    ]


async def read(tx: Transaction) -> Counts:
    """Count."""
    held = {reason: held for reason, held in await tx.execute(_HELD)}  # noqa: C416 - rows
    parked: Counter[str] = Counter()
    for kind, count in await tx.execute(_PARKED):
        parked[kind if kind in set(OutboxKind) else "unknown"] += count
    row = (await tx.execute(_COUNTS, {"grace": OVERDUE})).one()
    return Counts(
        held={reason: held.get(reason.value, 0) for reason in HeldReason},
        senders_on_hold=row.senders_on_hold,
        overdue=row.overdue,
        outbox=row.outbox,
        outbox_age=row.outbox_age or timedelta(0),
        parked=parked,
        fetch_lag=row.fetch_lag or timedelta(0),
        unapplied_texts=row.texts,
        unapplied_reports=row.reports,
        unsettled=row.unsettled,
        doubled=row.doubled,
        waiting_events=row.events,
    )
