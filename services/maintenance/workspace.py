"""The workspace's settings: its time zone, its way to show times, the law that binds it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict, cast
from uuid import UUID

from domain.platform.errors import InvalidFieldError
from domain.sequences.rule_packs import check_packs, check_texts_per_day
from domain.sequences.sending_hours import check_window
from domain.sequences.timing import ContactClock, check_time_zone
from domain.statuses.contacts import ConsentNeeded
from domain.statuses.sequences import Purpose
from services.enrollments.rescheduling import workspace_moved
from services.platform import audit
from storage.enrollments.waking import cap_changed, consent_changed
from storage.platform import wakes, workspace
from storage.platform.database import Database, Transaction
from storage.platform.wakes import WakeKind
from storage.platform.workspace import WaitingContact, WorkspaceRow
from storage.sequences import sequences

HourCycle = Literal[12, 24]

_PAGE = 500


@dataclass(frozen=True)
class WorkspaceClock:
    """How the workspace shows times; ``effective_time_zone`` is the zone that applies."""

    effective_time_zone: str
    hour_cycle: HourCycle


@dataclass(frozen=True)
class WorkspaceDetails(WorkspaceClock):
    """The settings of the workspace.

    Attributes:
        time_zone: IANA name as set; None if the process's settings decide.
        rule_packs: The rule packs that bind, by id; None for all.
        require_consent: Which consent texts take, by the purpose of their sequence; of each.
        texts_per_day: Most texts to one person in 24 hours, over all sequences; None for no limit.
    """

    time_zone: str | None
    rule_packs: tuple[str, ...] | None
    require_consent: Mapping[Purpose, ConsentNeeded] = field(
        default_factory=lambda: dict.fromkeys(Purpose, ConsentNeeded.NONE)
    )
    texts_per_day: int | None = None


class WorkspaceFields(TypedDict, total=False):
    """The settings to change; missing ones stay unchanged."""

    time_zone: str | None
    hour_cycle: HourCycle
    rule_packs: Sequence[str] | None
    require_consent: Mapping[Purpose, ConsentNeeded]
    texts_per_day: int | None


class WorkspaceSettings:
    """Reads and changes the settings of the workspace; every process reads them each time.

    ``default_zone`` is the IANA zone of a workspace that has set none.
    """

    def __init__(self, database: Database, *, default_zone: str) -> None:
        self._database = database
        self._default = default_zone

    async def get(self) -> WorkspaceDetails:
        """Read all settings."""
        async with self._database.transaction() as tx:
            return self._details(await workspace.read(tx))

    async def change(self, fields: WorkspaceFields, user_id: UUID) -> WorkspaceDetails:
        """Change settings; they apply at once, also to waiting steps.

        Of ``require_consent``, purposes that are left out stay.

        Raises:
            InvalidFieldError: There is no such time zone, or rule pack; ``window_outside_law`` of a
                sequence whose send window the packs would leave empty; a cap of zero.
        """
        zone = fields.get("time_zone")
        if zone is not None:
            check_time_zone(zone)
        if "rule_packs" in fields:
            fields = {**fields, "rule_packs": check_packs(fields["rule_packs"])}
        check_texts_per_day(fields.get("texts_per_day"))
        while fields and not await self._changed(fields, user_id):
            await self.move_steps()
        await self.move_steps()
        return await self.get()

    async def _changed(self, fields: WorkspaceFields, user_id: UUID) -> bool:
        """Change settings; False if they change the zone and steps still move to the last one."""
        async with self._database.transaction() as tx:
            await workspace.change(tx, {})  # locks the row before it is read
            before = await workspace.read(tx)
            if "time_zone" in fields and before.moving_from is not None:
                return False
            values = cast("dict[str, Any]", dict(fields))
            zone_before = self._details(before).effective_time_zone
            if "time_zone" in fields and (fields["time_zone"] or self._default) != zone_before:
                values["moving_from"] = zone_before
            if "rule_packs" in values:
                await _bind(tx, values["rule_packs"])
            if "require_consent" in fields:
                values["require_consent"] = {**before.require_consent, **fields["require_consent"]}
            await workspace.change(tx, values)
            if "require_consent" in fields:
                await consent_changed(tx)
            if fields.get("texts_per_day", before.texts_per_day) != before.texts_per_day:
                await cap_changed(tx)
            names = ",".join(sorted(fields))
            await audit.record(tx, "workspace.change", user_id=user_id, fields=names)
        return True

    async def move_steps(self) -> int:
        """Reschedule waiting steps that depend on a changed zone, and count their contacts.

        Page by page, so that locks are short. The change is stored until all pages are done, and
        repeating it is harmless: the sweep completes what a dead process began.
        """
        async with self._database.transaction() as tx:
            row = await workspace.read(tx)
        if row.moving_from is None:
            return 0
        async with self._database.transaction() as tx:
            await workspace.wait_for_holders(tx)
        before, after = row.moving_from, self._details(row).effective_time_zone
        seen, last = 0, None
        while True:
            async with self._database.transaction() as tx:
                page = await _move_page(tx, before, after, last)
            if not page:
                break
            seen, last = seen + len(page), page[-1].contact_id
        async with self._database.transaction() as tx:
            await workspace.end_move(tx, row)
        return seen

    def clock(self, time_zone: str | None, hour_cycle: int) -> WorkspaceClock:
        """Say how times are shown, of what is set."""
        return WorkspaceClock(time_zone or self._default, cast("HourCycle", hour_cycle))

    def _details(self, row: WorkspaceRow) -> WorkspaceDetails:
        clock = self.clock(row.time_zone, row.hour_cycle)
        return WorkspaceDetails(
            clock.effective_time_zone,
            clock.hour_cycle,
            time_zone=row.time_zone,
            rule_packs=row.rule_packs,
            require_consent={
                one: ConsentNeeded(row.require_consent.get(one, ConsentNeeded.NONE))
                for one in Purpose
            },
            texts_per_day=row.texts_per_day,
        )


async def _bind(tx: Transaction, packs: list[str] | None) -> None:
    """Check that rule packs leave every send window something, and have all who wait look again.

    Raises:
        InvalidFieldError: ``window_outside_law``, naming the sequence.
    """
    bound = await sequences.bound_by_law(tx)
    for one in bound:
        hours = replace(one.hours, packs=None if packs is None else tuple(packs))
        try:
            check_window(hours, datetime.now(UTC).date(), field="rule_packs")
        except InvalidFieldError as error:
            raise InvalidFieldError(
                error.field,
                f"cannot bind the sequence {one.name!r}: its send window {error.reason}",
                code=error.field_code,
            ) from None
    await wakes.add(tx, WakeKind.SEND_WINDOW, [one.id for one in bound])


async def _move_page(
    tx: Transaction, before: str, after: str, last: UUID | None
) -> list[WaitingContact]:
    """Reschedule the steps of the next contacts, and give the contacts; none at the end."""
    page = await workspace.waiting_without_zone(tx, after=last, limit=_PAGE)
    await workspace_moved(
        tx,
        [one.contact_id for one in page if _depends(one.phone, before, after)],
        lambda contact: contact.clock(before),
        lambda contact: contact.clock(after),
    )
    return page


def _depends(phone: str, before: str, after: str) -> bool:
    """Tell whether a number's clock depends on the workspace's zone."""
    old, new = (
        ContactClock.of(time_zone=None, phone=phone, workspace=zone) for zone in (before, after)
    )
    return len(new.zones) > 1 or new.zones != old.zones
