"""When a sequence's texts may go to a contact: its send window, and the law that binds them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain.platform.errors import InvalidFieldError
from domain.sequences.rule_packs import CAPPED, PackHours, PackVersion, chosen, law
from domain.sequences.timing import Bound, ContactClock, SendWindow
from domain.statuses.sequences import Purpose


@dataclass(frozen=True)
class SendingHours:
    """What says when a sequence's texts may go.

    Attributes:
        window: None for any time that the law leaves.
        purpose: What the texts are for; the law binds by it.
        packs: The workspace's rule packs, by id; None for all.
        texts_per_day: The workspace's most texts to one person in 24 hours; None for no limit.
    """

    window: SendWindow | None = None
    purpose: Purpose = Purpose.INFORMATIONAL
    packs: tuple[str, ...] | None = None
    texts_per_day: int | None = None

    @classmethod
    def parse(cls, raw: Mapping[str, Any]) -> "SendingHours":
        """Read what ``storage.sequences.sequences.hours_sql`` gives."""
        window, packs = raw["window"], raw["packs"]
        return cls(
            None if window is None else SendWindow.parse(window),
            Purpose(raw["purpose"]),
            None if packs is None else tuple(packs),
            raw["texts_per_day"],
        )

    def bounds(self, clock: ContactClock, zones: tuple[str, ...]) -> Sequence[Bound]:
        """List what binds; see ``timing.Hours``."""
        own = () if self.window is None else self.window.bounds(clock, zones)
        return (*own, *law(self.purpose, self.packs, clock))

    def packs_at(self, moment: datetime, clock: ContactClock) -> tuple[str, ...]:
        """Name the packs that a text goes under, each with its version: ``us-fl@2021``."""
        return tuple(name for name, _ in self._versions_at(moment, clock))

    def cap_at(self, moment: datetime, clock: ContactClock) -> "Cap | None":
        """Give the lowest cap on the texts to one person in 24 hours, if there is any."""
        caps = [] if self.texts_per_day is None else [Cap(self.texts_per_day, "workspace")]
        if self.purpose in CAPPED:
            for name, version in self._versions_at(moment, clock):
                if version.texts_per_day is not None:
                    caps.append(Cap(version.texts_per_day, name))
        return min(caps, default=None, key=lambda one: one.most)

    def _versions_at(
        self, moment: datetime, clock: ContactClock
    ) -> Iterator[tuple[str, PackVersion]]:
        """List the versions that bind, each once, by names such as ``us-fl@2021``."""
        seen = set()
        for bound in law(self.purpose, self.packs, clock):
            assert isinstance(bound.rule, PackHours)  # noqa: S101 - what law gives
            pack = bound.rule.pack
            for zone in bound.zones:
                version = pack.on(moment.astimezone(ZoneInfo(zone)).date())
                if version is not None and (name := f"{pack.id}@{version.version}") not in seen:
                    seen.add(name)
                    yield name, version


class Cap(NamedTuple):
    """Most texts to one person in 24 hours; ``by`` is ``workspace``, or a pack's version."""

    most: int
    by: str


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
