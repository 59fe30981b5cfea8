"""When a sequence's texts may go to a contact: its send window, and the law that binds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from domain.platform.errors import InvalidFieldError
from domain.sequences.rule_packs import PackHours, chosen, law
from domain.sequences.timing import Bound, ContactClock, SendWindow
from domain.statuses.sequences import Purpose


@dataclass(frozen=True)
class SendingHours:
    """What says when a sequence's texts may go.

    Attributes:
        window: None for any time that the law leaves.
        purpose: What the texts are for; the law binds by it.
        packs: The workspace's rule packs, by id; None for all.
    """

    window: SendWindow | None = None
    purpose: Purpose = Purpose.INFORMATIONAL
    packs: tuple[str, ...] | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "SendingHours":
        """Read what ``storage.sequences.sequences.hours_sql`` gives."""
        window, packs = raw["window"], raw["packs"]
        return cls(
            None if window is None else SendWindow.parse(window),
            Purpose(raw["purpose"]),
            None if packs is None else tuple(packs),
        )

    def bounds(self, clock: ContactClock, zones: tuple[str, ...]) -> Sequence[Bound]:
        """List what binds; see ``timing.Hours``."""
        own = () if self.window is None else self.window.bounds(clock, zones)
        return (*own, *law(self.purpose, self.packs, clock))

    def packs_at(self, moment: datetime, clock: ContactClock) -> tuple[str, ...]:
        """Name the packs that a text goes under, each with its version: ``us-fl@2021``."""
        found = []
        for bound in law(self.purpose, self.packs, clock):
            assert isinstance(bound.rule, PackHours)  # noqa: S101 - what law gives
            pack = bound.rule.pack
            days = (moment.astimezone(ZoneInfo(zone)).date() for zone in bound.zones)
            found += [f"{pack.id}@{one.version}" for one in map(pack.on, days) if one is not None]
        return tuple(dict.fromkeys(found))


def check_window(hours: SendingHours, today: date, *, field: str = "send_window") -> None:
    """Check that each pack leaves something of the send window, on some day of the week.

    Raises:
        InvalidFieldError: ``window_outside_law``, naming the hours that the pack has.
    """
    if hours.window is None:
        return
    for pack in chosen(hours.packs):
        for version in pack.versions:
            legal = version.hours.get(hours.purpose)
            is_over = version.effective_to is not None and version.effective_to < today
            if legal is None or is_over or hours.window.overlaps(legal):
                continue
            allowed = ", ".join(f"{day} {'-'.join(pair)}" for day, pair in legal.dump().items())
            since = f" from {version.effective_from} on" if version.effective_from > today else ""
            raise InvalidFieldError(
                field,
                f"opens on no minute that the rules of {pack.name} allow for"
                f" {hours.purpose.value} texts{since} ({allowed}); widen it, or leave {pack.id} out"
                " of the workspace's rule packs",
                code="window_outside_law",
            )


ANY_TIME = SendingHours()
"""Hours that nothing binds."""
