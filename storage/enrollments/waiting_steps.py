"""The next steps of enrollments, with what times them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from domain.sequences.sending_hours import SendingHours
from domain.sequences.timing import Whereabouts
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus
from storage.contacts.contacts import WHEREABOUTS
from storage.platform.database import Transaction
from storage.sequences.sequences import hours_sql


@dataclass(frozen=True, kw_only=True)
class WaitingStep(Whereabouts):
    """A locked enrollment, and what times its next step.

    Attributes:
        activity: None when final.
        paused_at: When a person paused it, if one did.
        last_sent_at: When its last text was accepted.
        due_at: When its next step is due by its own timing.
        hours: When the sequence's texts may go.
        read_at: Now, by the database's clock, which dates attempts and texts too.
    """

    id: UUID
    contact_id: UUID
    status: EnrollmentStatus
    activity: EnrollmentPhase | None
    all_sent: bool
    paused_at: datetime | None
    last_sent_at: datetime | None
    due_at: datetime | None
    at_time: time | None
    send_at: datetime | None
    hours: SendingHours
    read_at: datetime


@dataclass(frozen=True)
class RescheduledStep:
    """When an enrollment's next step is due now, and when its window lets it go."""

    id: UUID
    due_at: datetime | None
    next_send_at: datetime


_READ = f"""
    SELECT e.id, e.contact_id, e.status, e.activity, e.position > e.step_count AS all_sent,
        e.paused_at, e.last_sent_at, e.due_at, t.at_time, t.send_at, {WHEREABOUTS},
        {hours_sql()} AS hours, clock_timestamp() AS read_at
    FROM enrollments e
    JOIN contacts c ON c.id = e.contact_id
    JOIN sequences q ON q.id = e.sequence_id
    LEFT JOIN steps t ON t.version_id = e.version_id AND t.position = e.position
    WHERE e.id = ANY(:ids)
    ORDER BY e.id
"""  # noqa: S608 - built from constants


async def lock(tx: Transaction, enrollment_ids: Sequence[UUID]) -> list[WaitingStep]:
    """Lock enrollments by id, and read their next steps; unknown ids are left out."""
    return await _locked(tx, "e.id = ANY(:ids)", enrollment_ids)


async def lock_waiting_of(tx: Transaction, contact_ids: Sequence[UUID]) -> list[WaitingStep]:
    """Lock the enrollments of contacts that wait for a step to be due, and read those steps."""
    which = "e.contact_id = ANY(:ids) AND e.status = 'active' AND e.activity = 'waiting'"
    return await _locked(tx, which, contact_ids)


async def _locked(tx: Transaction, which: str, ids: Sequence[UUID]) -> list[WaitingStep]:
    """Lock first, then read: columns joined before the lock was granted are stale."""
    sql = f"SELECT e.id FROM enrollments e WHERE {which} ORDER BY e.id FOR NO KEY UPDATE"  # noqa: S608 - conditions written in this module
    return await read(tx, await tx.column(sql, ids=ids))


async def read(tx: Transaction, enrollment_ids: Sequence[UUID]) -> list[WaitingStep]:
    """Read the next steps of enrollments without locking any."""
    return await tx.rows(WaitingStep, _READ, ids=enrollment_ids)
