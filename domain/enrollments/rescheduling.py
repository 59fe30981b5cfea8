"""New due times of waiting steps: after a pause, or in another time zone."""

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
    """Compute when a step is due after its enrollment is resumed.

    The remaining delay, counted from ``paused_at``, is kept. A time of day stays the same, on the
    nearest day; a date stays the same, past or not, on the present clock.
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


def rescheduled_due(
    due_at: datetime,
    now: datetime,
    *,
    at_time: time | None,
    send_at: datetime | None,
    before: ContactClock,
    after: ContactClock,
) -> datetime:
    """Compute when a step is due after its contact's clock changed.

    A time of day and a date are wall-clock time, now on the clock ``after``; a plain delay is
    unchanged. A time of day that was still to come but is past on that clock moves to the next day.
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
