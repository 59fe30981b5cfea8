"""When a step that waits already is due after all: after a pause, or in another time zone."""

from datetime import datetime, time, timedelta

from domain.sequences.timing import ContactClock, scheduled_due

_ONE_DAY = timedelta(days=1)


def resumed_due(
    due_at: datetime,
    paused_at: datetime,
    now: datetime,
    *,
    at_time: time | None,
    send_at: datetime | None,
    clock: ContactClock,
) -> datetime:
    """Tell when a step is due whose enrollment goes on after a person paused it.

    What was left of its delay is left again. A time of day stays what it is, on the day that is
    then nearest; a date stays too, past or not, and goes by the clock that holds now.

    Args:
        due_at: When it was due.
        paused_at: From when on its clock stood still.
        now: When it goes on.
        at_time: The step's time of day, if it has one.
        send_at: The step's date, if it has one.
        clock: The contact's.
    """
    if send_at is not None:
        return scheduled_due(send_at, clock)
    if due_at <= paused_at:
        return due_at
    moved = due_at + (now - paused_at)
    if at_time is None:
        return moved
    earliest = max(now, moved - _ONE_DAY / 2)
    day = earliest.astimezone(clock.wall_zone).date()
    due = scheduled_due(datetime.combine(day, at_time), clock)
    if due < earliest:
        due = scheduled_due(datetime.combine(day + _ONE_DAY, at_time), clock)
    return due


def rezoned_due(
    due_at: datetime,
    now: datetime,
    *,
    at_time: time | None,
    send_at: datetime | None,
    before: ContactClock,
    after: ContactClock,
) -> datetime:
    """Tell when a step is due whose contact is found to be in another time zone.

    A time of day and a date are wall-clock time, now on the other wall; a mere delay stays. A time
    of day that was to come and is past there is the next one.

    Args:
        due_at: When it was due.
        now: When the zone changes.
        at_time: The step's time of day, if it has one.
        send_at: The step's date, if it has one.
        before: The clock ``due_at`` was told by.
        after: The clock that holds now.
    """
    if send_at is not None:
        return scheduled_due(send_at, after)
    if at_time is None:
        return due_at
    day = due_at.astimezone(before.wall_zone).date()
    due = scheduled_due(datetime.combine(day, at_time), after)
    if due_at <= now or due >= now:
        return due
    today = now.astimezone(after.wall_zone).date()
    due = scheduled_due(datetime.combine(today, at_time), after)
    return due if due >= now else scheduled_due(datetime.combine(today + _ONE_DAY, at_time), after)
