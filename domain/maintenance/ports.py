"""What a sweep tells, and the port that sweeps."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class SweepReport:
    """What one sweep did; counts.

    Attributes:
        delivered: Outbox entries handed to Temporal.
        restarted: Active enrollments whose workflow was gone.
        inbound_applied: Inbound texts whose effects were applied late.
        reports_applied: Status reports applied late.
        probes: Texts let through to senders on hold.
        settled: Attempts of ended enrollments whose outcome was found out.
        texts_fetched: Inbound texts whose webhook never came.
        reports_fetched: Reports that never came, on texts without a final state.
    """

    delivered: int = 0
    restarted: int = 0
    inbound_applied: int = 0
    reports_applied: int = 0
    probes: int = 0
    settled: int = 0
    texts_fetched: int = 0
    reports_fetched: int = 0
    failures: list[str] = field(default_factory=list)


class Sweeper(Protocol):
    """The use case behind the every-minute sweep."""

    async def sweep(self) -> SweepReport:
        """Repeat what was not acknowledged; every part is safe to repeat."""
        ...
