"""The sweep's report, and its port."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class SweepReport:
    """Counts of what one sweep did.

    Attributes:
        delivered: Outbox entries that Temporal took.
        restarted: Active enrollments whose workflow was not open.
        inbound_applied: Inbound texts whose effects were applied late.
        reports_applied: Delivery reports applied late.
        probes: Texts that senders on hold were let try.
        settled: Attempts of ended enrollments that were reconciled.
        texts_fetched: Inbound texts whose webhook never came.
        reports_fetched: Delivery reports that never came.
        second_read: Texts that the second reader, if there is one, has answered about.
        failures: Parts that failed: their name and the error's class.
    """

    delivered: int = 0
    restarted: int = 0
    inbound_applied: int = 0
    reports_applied: int = 0
    probes: int = 0
    settled: int = 0
    texts_fetched: int = 0
    reports_fetched: int = 0
    second_read: int = 0
    failures: list[str] = field(default_factory=list)


class Sweeper(Protocol):
    """Runs the every-minute sweep."""

    async def sweep(self) -> SweepReport:
        """Retry what was not acknowledged; every part is idempotent."""
        ...
