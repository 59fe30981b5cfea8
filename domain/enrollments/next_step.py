"""The step that follows one that was sent, and what times it."""

from dataclasses import dataclass
from datetime import datetime, time

from domain.enrollments.next_event import NextEvent
from domain.sequences.departures import NextText, departure
from domain.sequences.sending_hours import SendingHours
from domain.sequences.timing import Whereabouts, step_due


@dataclass(frozen=True, kw_only=True)
class NextStep(Whereabouts):
    """The next step of an enrollment without an accepted text.

    Attributes:
        position: From 1; one past the last step if every step went out.
        delay_seconds: Of a step of an ongoing sequence.
        send_at: Date and time of a step of a scheduled sequence.
        anchor_key: Of the date that times a step; that is read when it is decided about.
        hours: When the sequence's texts may go.
        workspace_zone: None where the settings of the process decide.
    """

    position: int
    delay_seconds: int | None
    at_time: time | None
    send_at: datetime | None
    anchor_key: str | None = None
    anchor_offset_seconds: int | None = None
    hours: SendingHours
    reply_window_seconds: int
    workspace_zone: str | None = None

    def due(self, sent_at: datetime, now: datetime, zone: str) -> NextEvent:
        """Tell when the step is due by its own timing, and when, from now on, it may go.

        ``sent_at`` is when the text before was accepted, ``zone`` the workspace's by the settings.
        """
        clock = self.clock(self.workspace_zone or zone)
        due_at = step_due(self, sent_at, clock) or sent_at
        found = departure(NextText(due_at, self.hours, clock), now)
        return NextEvent(self.position, due_at, found.at, reasons=found.reasons)
