"""Merging: many contacts as another program or a file has them, into those that are known.

A row is matched by its external id, else by its number. What it leaves out stays. Each row is
judged by what was stored before the call: the order of rows never decides between two people.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum, auto
from types import MappingProxyType
from typing import Any
from uuid import UUID

from domain.platform.errors import InvalidFieldError
from domain.sequences.timing import ContactClock
from domain.statuses.contacts import OtherName
from services.contacts.values import (
    NAMES,
    PLACE,
    changed_names,
    changes,
    filled_in,
    given_names,
    has_another_name,
    note_changes,
    possible_owners,
    require_name,
    require_owner,
    require_place,
)
from storage.contacts import merging
from storage.contacts.contacts import StoredContact
from storage.platform import workspace
from storage.platform.database import Transaction
from storage.platform.locks import MovedError, lock_numbers

_WHEREABOUTS = frozenset({"phone", "time_zone", *PLACE})

Rows = Mapping[int, Mapping[str, Any]]
"""Cleaned values by the position of each row."""


@dataclass(frozen=True)
class ContactHooks:
    """What higher areas do in the transaction that writes contacts.

    Attributes:
        erased_numbers: Tells which numbers were erased contacts' and are known by their hashes.
        numbers_assigned: Called with numbers that contacts have from now on.
        clocks_changed: Called with the clocks of contacts before and from now on.
        data_changed: Called with contacts whose values were changed.
    """

    erased_numbers: Callable[[Transaction, Collection[str]], Awaitable[Collection[str]]]
    numbers_assigned: Callable[[Transaction, Collection[str]], Awaitable[None]]
    clocks_changed: Callable[
        [Transaction, Mapping[UUID, tuple[ContactClock, ContactClock]]], Awaitable[None]
    ]
    data_changed: Callable[[Transaction, Collection[UUID]], Awaitable[None]]


class Outcome(StrEnum):
    """What became of a row.

    ``exists``: the contact is known with other values, which are kept. ``other_name``: the contact
    with its number has another name, and it is skipped. ``duplicate``: an earlier row is about the
    same person. ``error``: see ``Merged.errors``.
    """

    CREATED = auto()
    CHANGED = auto()
    UNCHANGED = auto()
    EXISTS = auto()
    OTHER_NAME = auto()
    DUPLICATE = auto()
    ERROR = auto()


@dataclass(frozen=True)
class Merged:
    """What became of a row.

    Attributes:
        contact_id: The contact; None with an error, and for one that a dry run does not create.
        first: With ``duplicate``: the position of the earlier row, if it is one of this call.
        errors: With ``error`` and ``duplicate``.
        holder_id: The contact whose number or external id stands in the way, if one does.
        other_name: What was to be done, if the contact with its number has another name.
    """

    outcome: Outcome
    contact_id: UUID | None = None
    first: int | None = None
    errors: tuple[InvalidFieldError, ...] = ()
    holder_id: UUID | None = None
    other_name: OtherName | None = None


@dataclass(frozen=True)
class _Policy:
    """What to do with rows about contacts who are known; see ``Merging.merge``."""

    keep: bool
    other_names: Mapping[int, OtherName]


@dataclass
class _Plan:
    """What to write, and what becomes of each row; the ids of new contacts are not known yet."""

    merged: dict[int, Merged] = field(default_factory=dict)
    new: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    changed: dict[int, tuple[StoredContact, Mapping[str, Any]]] = field(default_factory=dict)


async def _nobody(_ids: Collection[UUID]) -> Collection[UUID]:
    return ()


async def _anything(_ids: Collection[UUID]) -> None:
    return


class Merging:
    """Merges rows into the contacts."""

    def __init__(self, hooks: ContactHooks, *, workspace_zone: str) -> None:
        self._hooks = hooks
        self._workspace_zone = workspace_zone

    async def merge(
        self,
        tx: Transaction,
        rows: Rows,
        *,
        keep: bool = False,
        other_names: Mapping[int, OtherName] = MappingProxyType({}),
        dry_run: bool = False,
        merged_before: Callable[[Collection[UUID]], Awaitable[Collection[UUID]]] = _nobody,
        require: Callable[[Collection[UUID]], Awaitable[None]] = _anything,
    ) -> dict[int, Merged]:
        """Create and change contacts in a transaction that has locked none yet.

        Args:
            tx: See ``storage.platform.locks``: this locks numbers, contacts, enrollments.
            rows: By position, in ascending order.
            keep: Change no contact who is known.
            other_names: What to do with rows whose number is that of a contact with another name,
                by position; without, such a row is like any other.
            dry_run: Write nothing.
            merged_before: Tells which of these contacts earlier calls were about; their rows are
                duplicates.
            require: Called with the contacts that match, once those to be changed are locked; may
                raise.

        Returns:
            What became of each row.
        """
        policy = _Policy(keep, other_names)
        while True:
            with suppress(MovedError):
                async with tx.begin_nested():
                    plan = await self._plan(tx, rows, policy, merged_before)
                    if not dry_run:
                        await self._lock(tx, plan)
                        if plan.changed:  # what was read before the locks may be stale
                            again = await self._plan(tx, rows, policy, merged_before)
                            if (again.new, again.changed) != (plan.new, plan.changed):
                                raise MovedError
                        matched = [one.contact_id for one in plan.merged.values()]
                        await require([one for one in matched if one is not None])
                        await self._write(tx, plan)
                    return plan.merged

    async def _plan(
        self,
        tx: Transaction,
        rows: Rows,
        policy: _Policy,
        merged_before: Callable[[Collection[UUID]], Awaitable[Collection[UUID]]],
    ) -> _Plan:
        owners = await possible_owners(tx, rows.values())
        found = await merging.matching(
            tx,
            external_ids={row["external_id"] for row in rows.values() if row.get("external_id")},
            phones={row["phone"] for row in rows.values() if "phone" in row},
        )
        before = await merged_before([one.id for one in found])
        return _planned(rows, found, before, owners, policy)

    async def _lock(self, tx: Transaction, plan: _Plan) -> None:
        """Lock numbers, then the contacts that change.

        Those are the numbers that change hands, those known by hashes too, and the number of each
        contact whose clock changes, as a text to it may be recorded meanwhile. If any contact gets
        another key, those of all: locked for that, none of them can be referred to by a new text.

        New contacts' numbers are not locked, thousands at once would fill PostgreSQL's table of
        locks: the sweep finds a text that comes in from one at this moment.
        """
        changing = list(plan.changed.values())
        keys = any({"phone", "external_id"} & changed.keys() for _, changed in changing)
        numbers = {
            before.phone for before, changed in changing if keys or _WHEREABOUTS & changed.keys()
        }
        numbers |= {changed["phone"] for _, changed in changing if "phone" in changed}
        erased = await self._hooks.erased_numbers(tx, [row["phone"] for row in plan.new.values()])
        if numbers or erased:
            await lock_numbers(tx, {*numbers, *erased})
        if changing:
            await merging.lock(tx, [before.id for before, _ in changing], keys=keys)

    async def _write(self, tx: Transaction, plan: _Plan) -> None:
        created = await merging.insert(tx, list(plan.new.values()))
        for position, row in plan.new.items():
            plan.merged[position] = Merged(Outcome.CREATED, created[row["phone"]])
        for position, one in plan.merged.items():
            if one.outcome is Outcome.DUPLICATE and one.first is not None:
                first = plan.merged[one.first].contact_id
                plan.merged[position] = Merged(one.outcome, first, one.first, one.errors)
        numbers = set(created)
        former: dict[UUID, str] = {}
        clocks: dict[UUID, tuple[ContactClock, ContactClock]] = {}
        after: list[Mapping[str, Any]] = []
        if plan.changed:
            zone = await workspace.zone(tx, self._workspace_zone)
        for before, changed in plan.changed.values():
            now = replace(before, **changed)
            after.append(vars(now))
            if "phone" in changed:
                former[before.id] = before.phone
                numbers.add(now.phone)
            if _WHEREABOUTS & changed.keys():
                clocks[before.id] = before.clock(zone), now.clock(zone)
        await merging.update(tx, after, former)
        if numbers:
            await self._hooks.numbers_assigned(tx, numbers)
        await self._hooks.data_changed(tx, [before.id for before, _ in plan.changed.values()])
        if clocks:
            await self._hooks.clocks_changed(tx, clocks)
        await note_changes(
            tx,
            created={created[row["phone"]]: given_names(row) for row in plan.new.values()},
            changed={
                before.id: changed_names(before, changed)
                for before, changed in plan.changed.values()
            },
        )


def _planned(
    rows: Rows,
    found: Collection[StoredContact],
    before: Collection[UUID],
    owners: Collection[UUID],
    policy: _Policy,
) -> _Plan:
    """Match rows, and work out what each changes; ``owners`` are those who may become one."""
    by_external_id = {one.external_id: one for one in found if one.external_id is not None}
    by_phone = {one.phone: one for one in found}
    plan = _Plan()
    named: dict[tuple[str, object], int] = {}
    for position, row in rows.items():
        own = by_external_id.get(row.get("external_id", ""))
        holder = by_phone.get(row.get("phone", ""))
        contact = own or holder
        keys = [(name, row[name]) for name in ("external_id", "phone") if row.get(name)]
        if contact is not None:
            keys.append(("id", contact.id))
        again = next((key for key in keys if key in named), None)
        if again is not None:
            name = keys[0][0] if again[0] == "id" else again[0]
            plan.merged[position] = _duplicate(name, named[again])
        elif own and holder and own.id != holder.id:
            plan.merged[position] = _taken(own, holder)
        elif own is None and holder and _has_another_id(holder, row):
            plan.merged[position] = _claimed(holder)
        elif contact is not None and contact.id in before:
            plan.merged[position] = Merged(Outcome.DUPLICATE, contact.id)
        else:
            try:
                other_name = policy.other_names.get(position) if own is None else None
                plan.merged[position] = _judged(
                    plan, position, row, contact, owners, keep=policy.keep, other_name=other_name
                )
            except InvalidFieldError as error:
                plan.merged[position] = Merged(Outcome.ERROR, errors=(error,))
                continue
            if plan.merged[position].outcome is not Outcome.OTHER_NAME:
                named |= dict.fromkeys(keys, position)
    return plan


def _judged(
    plan: _Plan,
    position: int,
    row: Mapping[str, Any],
    contact: StoredContact | None,
    owners: Collection[UUID],
    *,
    keep: bool,
    other_name: OtherName | None,
) -> Merged:
    """Add to the plan what a row about one person changes; ``other_name`` as in ``merge``.

    Raises:
        InvalidFieldError: A value is missing; ``unknown_user``.
    """
    if contact is None:
        if "phone" not in row:
            raise InvalidFieldError("phone", "is missing; a new contact needs it", code="missing")
        require_name(row)
        require_place(row)
        require_owner(row, owners)
        plan.new[position] = filled_in(row)
        return Merged(Outcome.CREATED)
    require_name(row, vars(contact))
    require_place(row, vars(contact))
    if other_name is None or not has_another_name(contact, row):
        other_name, changed = None, changes(contact, row)
    else:
        changed = changes(contact, {**row, **_name_after(contact, row, other_name)})
    if keep and other_name is OtherName.TAKE:
        changed = {name: one for name, one in changed.items() if name in NAMES}
    if other_name is OtherName.SKIP:
        outcome = Outcome.OTHER_NAME
    elif not changed:
        outcome = Outcome.UNCHANGED
    elif keep and other_name is not OtherName.TAKE:
        outcome = Outcome.EXISTS
    else:
        outcome = Outcome.CHANGED
        require_owner(changed, owners, contact.owner_id)
        plan.changed[position] = (contact, changed)
    return Merged(outcome, contact.id, other_name=other_name)


def _name_after(
    contact: StoredContact, row: Mapping[str, Any], other_name: OtherName
) -> Mapping[str, str]:
    """Give a contact's name once a row with another one is merged: what the row lacks stays."""
    taken = row if other_name is OtherName.TAKE else {}
    return {name: taken.get(name, getattr(contact, name)) for name in NAMES}


def _has_another_id(contact: StoredContact, row: Mapping[str, Any]) -> bool:
    """Tell whether a row has an external id and the contact with its number a different one."""
    given = row.get("external_id")
    return given is not None and contact.external_id not in (None, given)


def _taken(own: StoredContact, holder: StoredContact) -> Merged:
    reason = (
        f"is the number of contact {holder.id}, but the external id is that of contact {own.id};"
        " correct one of them, or merge the two people first"
    )
    return _refused(InvalidFieldError("phone", reason, code="phone_taken"), holder)


def _claimed(holder: StoredContact) -> Merged:
    reason = (
        f"is the number of contact {holder.id}, who has another external id; correct the number,"
        " or change that contact"
    )
    return _refused(InvalidFieldError("phone", reason, code="phone_taken"), holder)


def _refused(error: InvalidFieldError, holder: StoredContact) -> Merged:
    return Merged(Outcome.ERROR, errors=(error,), holder_id=holder.id)


def _duplicate(name: str, first: int) -> Merged:
    reason = f"is the same person as in row {first}; send each person once"
    error = InvalidFieldError(name, reason, code="duplicate_row")
    return Merged(Outcome.DUPLICATE, first=first, errors=(error,))
