"""What an enrollment waits for after a step."""

from dataclasses import dataclass, field
from datetime import datetime

from domain.sequences.departures import Reason


@dataclass(frozen=True)
class NextEvent:
    """The step to send next, or the end of the reply window after the last.

    Attributes:
        position: The step to send next; one more than there are after the last.
        due_at: When that step is due by its own timing.
        next_send_at: ``due_at`` moved into the send window.
        reply_until: The end of the reply window, if every step went out.
        reasons: What postpones the step from ``due_at`` to ``next_send_at``.
    """

    position: int
    due_at: datetime | None = None
    next_send_at: datetime | None = None
    reply_until: datetime | None = None
    reasons: tuple[Reason, ...] = field(default=(), compare=False)
