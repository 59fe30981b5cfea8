"""The step that follows one that was sent, and what times it."""

from dataclasses import dataclass
from datetime import datetime, time

from domain.sequences.timing import ContactClock, SendWindow, next_slot, step_due


@dataclass(frozen=True)
class NextStep:
    """The next step of an enrollment without an accepted text.

    Attributes:
        position: From 1; one past the last step if every step went out.
        delay_seconds: Of a step of an ongoing sequence.
        send_at: Date and time of a step of a scheduled sequence.
        send_window: The sequence's; None for any time.
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
        """Return when the step is due by its own timing, and when, from now on, it may go.

        ``sent_at`` is when the text before was accepted, ``zone`` the workspace's by the settings.
        """
        clock = ContactClock.of(
            time_zone=self.time_zone, phone=self.phone, workspace=self.workspace_zone or zone
        )
        due_at = step_due(self, sent_at, clock)
        return due_at, next_slot(max(due_at, now), self.send_window, clock).at
