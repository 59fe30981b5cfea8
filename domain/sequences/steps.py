"""A step as it is written: by a request, in a template, before anything is checked."""

from dataclasses import dataclass
from datetime import timedelta

from domain.statuses.sequences import LatePolicy

LATE_AFTER = timedelta(hours=1)
"""How long after its time a step is not late yet: a short outage skips nothing."""


def patience(late: LatePolicy, late_hours: int | None) -> timedelta | None:
    """Give how long after its time a step may still go; None for whenever."""
    match late:
        case LatePolicy.SEND:
            return None
        case LatePolicy.EXPIRE:
            return timedelta(hours=late_hours or 0)
        case LatePolicy.SKIP:
            return LATE_AFTER


@dataclass(frozen=True)
class StepDraft:
    """A step, not validated yet.

    Attributes:
        body: With merge fields.
        delay_seconds: After the text before; ongoing sequences only.
        at_time: ``HH:MM``; ongoing sequences only.
        send_at: ``YYYY-MM-DDTHH:MM[:SS]`` on the contact's clock; scheduled sequences only.
        late: A ``LatePolicy``.
        late_hours: With ``expire`` only.
    """

    body: str
    media_urls: tuple[str, ...] = ()
    delay_seconds: int | None = None
    at_time: str | None = None
    send_at: str | None = None
    late: str = LatePolicy.SEND
    late_hours: int | None = None
