"""Rescheduling waiting steps when a contact's clock changes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.enrollments.rescheduling import rescheduled_due
from domain.sequences.timing import ContactClock, Whereabouts, next_slot, scheduled_due
from storage.enrollments import enrollments, waiting_steps
from storage.enrollments.waiting_steps import RescheduledStep, WaitingStep
from storage.platform.database import Transaction

ClockOf = Callable[[Whereabouts], ContactClock]
"""Makes a contact's clock."""


async def contacts_moved(
    tx: Transaction, clocks: Mapping[UUID, tuple[ContactClock, ContactClock]]
) -> None:
    """Reschedule contacts' waiting steps from one clock to another, both by the contact's id."""
    moved = [one for one, (before, after) in clocks.items() if before != after]
    if moved:
        waiting = await waiting_steps.lock_waiting_of(tx, moved)
        await _move(tx, [(row, *clocks[row.contact_id]) for row in waiting])


async def workspace_moved(
    tx: Transaction, contact_ids: Sequence[UUID], before: ClockOf, after: ClockOf
) -> None:
    """Reschedule the waiting steps of contacts who may depend on the workspace's zone.

    ``before`` and ``after`` make a contact's clock until now, and from now on.
    """
    moves = []
    for row in await waiting_steps.lock_waiting_of(tx, contact_ids):
        old, new = before(row), after(row)
        if old != new and not _goes_by(row, new):
            moves.append((row, old, new))
    await _move(tx, moves)


def _goes_by(row: WaitingStep, clock: ContactClock) -> bool:
    """Tell whether a step was rescheduled by this clock already; twice could be a day off."""
    if row.at_time is None or row.due_at is None:
        return False
    day = row.due_at.astimezone(clock.wall_zone).date()
    return scheduled_due(datetime.combine(day, row.at_time), clock) == row.due_at


async def _move(
    tx: Transaction, moves: Sequence[tuple[WaitingStep, ContactClock, ContactClock]]
) -> None:
    """Write when each is due now, and have the workflows look."""
    moved = [_moved(row, before, after) for row, before, after in moves]
    if moved:
        await enrollments.reschedule(tx, moved)


def _moved(row: WaitingStep, before: ContactClock, after: ContactClock) -> RescheduledStep:
    due_at, now = row.due_at, row.read_at
    if due_at is not None:
        due_at = rescheduled_due(
            due_at, now, at_time=row.at_time, send_at=row.send_at, before=before, after=after
        )
    return RescheduledStep(row.id, due_at, next_slot(max(due_at or now, now), row.hours, after).at)
