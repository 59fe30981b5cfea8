"""Figures of the deployment's health; every statement reads a partial index."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.statuses.enrollments import HeldReason
from storage.platform.database import Transaction
from storage.platform.outbox import OutboxKind

_COUNTS = """
    SELECT
        (SELECT count(*) FROM senders WHERE held_at IS NOT NULL) AS senders_on_hold,
        (
            SELECT count(*) FROM enrollments
            WHERE status = 'active' AND coalesce(next_send_at, reply_until) < now() - :grace
        ) AS overdue,
        (SELECT count(*) FROM outbox WHERE parked_at IS NULL) AS outbox,
        (
            SELECT coalesce(now() - min(created_at), '0') FROM outbox WHERE parked_at IS NULL
        ) AS outbox_age,
        (SELECT coalesce(now() - min(fetched_until), '0') FROM catch_up_lists) AS fetch_lag,
        (SELECT count(*) FROM inbound_events WHERE applied_at IS NULL) AS unapplied_texts,
        (SELECT count(*) FROM status_events WHERE applied_at IS NULL) AS unapplied_reports,
        (SELECT count(*) FROM attempts WHERE outcome IN ('open', 'unknown')) AS unreconciled,
        (SELECT count(*) FROM attempts WHERE doubled_at IS NOT NULL) AS doubled,
        (
            SELECT count(*) FROM event_deliveries
            WHERE delivered_at IS NULL AND given_up_at IS NULL
        ) AS waiting_events
"""

_PARKED = "SELECT kind, count(*) AS count FROM outbox WHERE parked_at IS NOT NULL GROUP BY kind"

_HELD = """
    SELECT held_reason, count(*) AS count FROM enrollments
    WHERE blocked AND activity = 'held' GROUP BY held_reason
"""

_HELD_ENROLLMENTS = """
    SELECT e.id, q.name AS sequence, e.position AS step, e.held_reason AS reason,
        e.held_code AS code
    FROM enrollments e JOIN sequences q ON q.id = e.sequence_id
    WHERE e.blocked AND e.activity = 'held' ORDER BY e.held_reason, e.enrolled_at, e.id LIMIT :limit
"""

OVERDUE = timedelta(minutes=5)
"""An enrollment is overdue if its next event is this long past."""


@dataclass(frozen=True)
class Counts:
    """Figures of the deployment.

    Attributes:
        held: Held enrollments by reason, all reasons.
        overdue: Active enrollments whose next event is overdue.
        outbox_age: Age of the oldest entry that Temporal has not taken yet.
        parked: Entries that are no longer retried, by kind; ``unknown`` for kinds that this build
            does not know.
        fetch_lag: Age of the moment up to which all lists of inbound texts were read.
        unreconciled: Attempts without a known outcome.
        doubled: Texts that were sent twice.
        waiting_events: Deliveries to event endpoints that are pending.
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
    unreconciled: int
    doubled: int
    waiting_events: int


@dataclass(frozen=True)
class HeldEnrollment:
    """One held enrollment.

    Attributes:
        step: The step that waits, from 1.
        code: The provider's error code, if there is one.
    """

    id: UUID
    sequence: str
    step: int
    reason: HeldReason
    code: int | None


async def held(tx: Transaction, limit: int) -> Sequence[HeldEnrollment]:
    """List held enrollments by reason, the longest enrolled first."""
    return await tx.rows(HeldEnrollment, _HELD_ENROLLMENTS, limit=limit)


async def read(tx: Transaction) -> Counts:
    """Read all figures."""
    held = {reason: held for reason, held in await tx.run(_HELD)}  # noqa: C416 - rows
    parked: Counter[str] = Counter()
    for kind, count in await tx.run(_PARKED):
        parked[kind if kind in set(OutboxKind) else "unknown"] += count
    counts = (await tx.run(_COUNTS, grace=OVERDUE)).mappings().one()
    by_reason = {reason: held.get(reason.value, 0) for reason in HeldReason}
    return Counts(held=by_reason, parked=parked, **counts)
