"""What holds for everyone: the workspace's time zone, and how it tells the time."""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict, cast
from uuid import UUID

from domain.timing import ContactClock, check_time_zone
from services import audit
from services.outbox import Outbox
from services.rezoning import workspace_moved
from storage import workspace
from storage.database import Database, Transaction
from storage.workspace import WorkspaceRow

HourCycle = Literal[12, 24]

_PAGE = 500


@dataclass(frozen=True)
class WorkspaceDetails:
    """The settings of the workspace.

    Attributes:
        time_zone: IANA name as set; None where the process's settings decide.
        effective_time_zone: The one that applies.
        hour_cycle: Whether times are shown with 12 or 24 hours.
    """

    time_zone: str | None
    effective_time_zone: str
    hour_cycle: HourCycle


class WorkspaceFields(TypedDict, total=False):
    """What may be changed; what is left out stays as it is."""

    time_zone: str | None
    hour_cycle: HourCycle


class WorkspaceSettings:
    """Reads and changes the settings of the workspace.

    Args:
        database: Where they are kept; every process reads them there whenever one decides.
        outbox: Tells the workflows whose steps move.
        default_zone: IANA zone where nobody has set one.
    """

    def __init__(self, database: Database, outbox: Outbox, *, default_zone: str) -> None:
        self._database = database
        self._outbox = outbox
        self._default = default_zone

    async def get(self) -> WorkspaceDetails:
        """Give all of them."""
        async with self._database.transaction() as tx:
            return self._details(await workspace.read(tx))

    async def change(self, fields: WorkspaceFields, user_id: UUID) -> WorkspaceDetails:
        """Change some; they hold at once, also for steps that wait.

        Raises:
            InvalidFieldError: There is no such time zone.
        """
        zone = fields.get("time_zone")
        if zone is not None:
            check_time_zone(zone)
        async with self._database.transaction() as tx:
            if fields:
                await workspace.change(tx, {})  # locks it, so that what was is what this changes
                before = self._details(await workspace.read(tx)).effective_time_zone
                await workspace.change(tx, cast("dict[str, Any]", fields))
                names = ",".join(sorted(fields))
                await audit.record(tx, "workspace.change", user_id=user_id, fields=names)
                after = self._details(await workspace.read(tx)).effective_time_zone
                if before != after:
                    await _move_all(tx, before, after)
            changed = self._details(await workspace.read(tx))
        self._outbox.kick()
        return changed

    def _details(self, row: WorkspaceRow) -> WorkspaceDetails:
        return WorkspaceDetails(
            time_zone=row.time_zone,
            effective_time_zone=row.time_zone or self._default,
            hour_cycle=cast("HourCycle", row.hour_cycle),
        )


async def _move_all(tx: Transaction, before: str, after: str) -> None:
    """Have every step that waits, and depends on the workspace's zone, look at the new one."""
    last: UUID | None = None
    while True:
        page = await workspace.waiting_without_zone(tx, after=last, limit=_PAGE)
        if not page:
            return
        await workspace_moved(
            tx,
            [one.contact_id for one in page if _depends(one.phone, before, after)],
            lambda time_zone, phone: _clock(time_zone, phone, before),
            lambda time_zone, phone: _clock(time_zone, phone, after),
        )
        last = page[-1].contact_id


def _depends(phone: str, before: str, after: str) -> bool:
    """Whether a number leaves it to the workspace's zone what its owner's clock says."""
    clock = _clock(None, phone, after)
    return len(clock.zones) > 1 or clock.zones != _clock(None, phone, before).zones


def _clock(time_zone: str | None, phone: str, zone: str) -> ContactClock:
    return ContactClock.of(time_zone=time_zone, phone=phone, workspace=zone)
