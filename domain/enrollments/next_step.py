"""The step that follows one that was sent, and what times it."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from domain.sequences.timing import ContactClock, SendWindow, next_slot, ongoing_due, scheduled_due


@dataclass(frozen=True)
class NextStep:
    """The next step of an enrollment without an accepted text.

    Attributes:
        position: From 1; one past the last step if every step went out.
        delay_seconds: Of a step of an ongoing sequence.
        at_time: Its wall-clock time, if it has one.
        send_at: Date and time of a step of a scheduled sequence.
        time_zone: The contact's zone, if given.
        phone: The contact's number.
        send_window: The sequence's; None for any time.
        reply_window_seconds: How long to wait for a reply to the last text.
        workspace_zone: None where the settings of the process decide.
    """

    position: int
    delay_seconds: int | None
    at_time: time | None
    send_at: datetime | None
    time_zone: str | None
    phone: str
    send_window: SendWindow | None
    reply_window_seconds: int
    workspace_zone: str | None = None

    def due(self, sent_at: datetime, now: datetime, zone: str) -> tuple[datetime, datetime]:
        """Return when the step is due by its own timing, and when its window lets it go.

        Args:
            sent_at: When the text before was accepted.
            now: The second moment is no earlier.
            zone: The workspace's zone, by the settings.
        """
        clock = ContactClock.of(
            time_zone=self.time_zone, phone=self.phone, workspace=self.workspace_zone or zone
        )
        if self.send_at is not None:
            due_at = scheduled_due(self.send_at, clock)
        else:
            delay = timedelta(seconds=self.delay_seconds or 0)
            due_at = ongoing_due(sent_at, delay, self.at_time, clock)
        return due_at, next_slot(max(due_at, now), self.send_window, clock).at
