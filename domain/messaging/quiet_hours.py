"""Hours in which a person had better not be texted by another's hand."""

from dataclasses import dataclass
from datetime import datetime

from domain.sequences.timing import DEFAULT_WINDOW, ContactClock, SendWindow, next_slot


@dataclass(frozen=True)
class QuietHours:
    """A contact's quiet hours.

    Attributes:
        zone: Where it is quiet now; IANA name.
        is_sure: Whether that is the contact's; a number may allow several zones.
        ends_at: When they end wherever the contact may be, UTC.
    """

    zone: str
    is_sure: bool
    ends_at: datetime


def quiet_hours(now: datetime, window: SendWindow | None, clock: ContactClock) -> QuietHours | None:
    """Tell whether it is outside the hours in which a contact is texted; None if it is not.

    Those are the given ones, or without any the careful default of new sequences.
    """
    hours = window or DEFAULT_WINDOW
    slot = next_slot(now, hours, clock)
    if slot.at <= now:
        return None
    quiet = (
        zone
        for zone in clock.zones
        if next_slot(now, hours, ContactClock((zone,), clock.workspace)).at > now
    )
    return QuietHours(next(quiet, clock.zones[0]), len(clock.zones) == 1, slot.at)
