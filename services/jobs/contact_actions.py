"""Actions on many contacts: in and out of groups, to an owner, opted out; and taking them back."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from domain.event_webhooks.events import ContactChange
from domain.platform import names
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError, required
from domain.statuses.jobs import JobKind
from services.contacts.contacts import clean_filter
from services.contacts.groups import Groups, add_group, require_group
from services.contacts.values import possible_owners, require_owner
from services.enrollments.enrollment_list import cleaned
from services.jobs.jobs import Handler, check_not_more, start
from services.platform import audit
from services.suppression.suppressions import REASON_LENGTH, Suppressions
from storage.contacts import contacts, owners
from storage.contacts.contacts import ContactFilter
from storage.contacts.groups import Adding
from storage.enrollments import enrollment_list
from storage.enrollments.list_filter import ListFilter
from storage.event_webhooks import events
from storage.jobs import contact_actions as rows
from storage.jobs import jobs
from storage.jobs.contact_actions import Outlook
from storage.jobs.jobs import OPT_OUT_REASON, JobDetails, OpenRow, RowResult
from storage.platform.database import Database, Transaction
from storage.platform.locks import MovedError

GROUP_ID, OWNER_ID = "group_id", "owner_id"
"""Parameters of jobs."""

_BEFORE = "before"
"""What the detail of an assigned contact holds besides ``owner_id``: the owner before."""

_UNDO_OF = "undo_of"
"""Parameter of a job that takes another back."""

_UNDO_WITHIN = timedelta(hours=1)

_OPPOSITES = {
    JobKind.ADD_TO_GROUP: (JobKind.UNGROUP_CONTACTS, "added"),
    JobKind.GROUP_CONTACTS: (JobKind.UNGROUP_CONTACTS, "added"),
    JobKind.UNGROUP_CONTACTS: (JobKind.GROUP_CONTACTS, "removed"),
    JobKind.ASSIGN_CONTACTS: (JobKind.ASSIGN_CONTACTS, "assigned"),
}
"""What takes a kind of job back, and the result of the rows that it changed."""


class Enrolled(NamedTuple):
    """The contacts of a sequence's enrollments that match a filter."""

    sequence_id: UUID
    wanted: ListFilter


Whom = ContactFilter | Enrolled
"""The contacts to act on: those who match a filter."""


def can_be_undone(job: JobDetails) -> bool:
    """Tell whether a job has changed something that can be taken back, and not long ago."""
    opposite = _OPPOSITES.get(job.kind)
    return opposite is not None and _is_fresh(job) and bool(job.counts.get(opposite[1]))


def _is_fresh(job: JobDetails) -> bool:
    ended_at = job.ended_at if job.state.is_final else None
    return ended_at is not None and datetime.now(UTC) - ended_at < _UNDO_WITHIN


@dataclass(frozen=True)
class ContactHandlers:
    """Acts on rows that are contacts."""

    groups: Groups
    suppressions: Suppressions

    def by_kind(self) -> Mapping[JobKind, Handler]:
        """Give the handlers; as many as one takes at once are acted on while somebody waits."""
        return {
            JobKind.GROUP_CONTACTS: Handler(1000, self._add),
            JobKind.UNGROUP_CONTACTS: Handler(1000, self._remove),
            JobKind.ASSIGN_CONTACTS: Handler(1000, _assign),
            JobKind.OPT_OUT_CONTACTS: Handler(100, self._opt_out),
        }

    async def _add(self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]) -> list[RowResult]:
        group_id = UUID(job.params[GROUP_ID])
        await require_group(tx, group_id)
        done = await self.groups.add_members(group_id, _ids(rows), job.user_id, within=tx)
        return _results(
            rows,
            {
                **dict.fromkeys(done.added, "added"),
                **dict.fromkeys(done.already, "already_member"),
            },
        )

    async def _remove(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        group_id = UUID(job.params[GROUP_ID])
        await require_group(tx, group_id)
        added = await _adding_of(tx, job)
        done = await self.groups.remove_members(group_id, _ids(rows), added=added, within=tx)
        return _results(
            rows,
            {
                **dict.fromkeys(done.removed, "removed"),
                **dict.fromkeys(done.not_member, "changed_since" if added else "not_member"),
            },
        )

    async def _opt_out(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        ids = _ids(rows)
        phones = await contacts.phones_of(tx, ids)
        reasons = dict.fromkeys(phones.values(), job.params[OPT_OUT_REASON])
        new = await self.suppressions.suppress_unless_standing(tx, reasons, user_id=job.user_id)
        if await contacts.phones_of(tx, ids) != phones:
            raise MovedError
        codes = {
            one: "suppressed" if phone in new else "already_suppressed"
            for one, phone in phones.items()
        }
        return _results(rows, codes)


async def _adding_of(tx: Transaction, job: JobDetails) -> Adding | None:
    """Tell when a job that another takes back added members: only those are taken out again."""
    undone = await jobs.get(tx, UUID(job.params[_UNDO_OF])) if _UNDO_OF in job.params else None
    if undone is None or undone.ended_at is None:
        return None
    return Adding(undone.user_id, undone.created_at, undone.ended_at)


async def _assign(tx: Transaction, job: JobDetails, rows: Many[OpenRow]) -> list[RowResult]:
    """Give contacts the job's owner; those of a job that is taken back, the owner of before."""
    now = await owners.lock(tx, _ids(rows))
    wanted = {row.subject_id: _owner_for(job, row) for row in rows if row.subject_id in now}
    possible = await possible_owners(tx, [{OWNER_ID: one} for one in wanted.values()])
    changed: dict[UUID, UUID | None] = {}
    results = []
    for row in rows:
        contact_id = row.subject_id
        if contact_id is None or contact_id not in now:
            results.append(RowResult(row.position, "not_found"))
            continue
        before, owner = now[contact_id], wanted[contact_id]
        if row.detail and row.detail[OWNER_ID] != _text(before):
            results.append(RowResult(row.position, "changed_since"))
        elif owner == before:
            results.append(RowResult(row.position, "already_assigned"))
        elif owner is not None and owner not in possible:
            results.append(RowResult(row.position, "unknown_user"))
        else:
            changed[contact_id] = owner
            detail = {OWNER_ID: _text(owner), _BEFORE: _text(before)}
            results.append(RowResult(row.position, "assigned", detail))
    if changed:
        await owners.change(tx, changed)
        told = {one: {OWNER_ID: _text(owner)} for one, owner in changed.items()}
        await audit.record_each(tx, "contact.assign", "contact", told, user_id=job.user_id)
        fields = dict.fromkeys(changed, (OWNER_ID,))
        await events.contacts_changed(tx, fields, ContactChange.UPDATED)
    return results


def _owner_for(job: JobDetails, row: OpenRow) -> UUID | None:
    owner = row.detail[_BEFORE] if row.detail else job.params[OWNER_ID]
    return None if owner is None else UUID(owner)


def _text(user_id: UUID | None) -> str | None:
    return None if user_id is None else str(user_id)


def _ids(rows: Many[OpenRow]) -> list[UUID]:
    return [row.subject_id for row in rows if row.subject_id is not None]


def _results(rows: Many[OpenRow], codes: Mapping[UUID, str]) -> list[RowResult]:
    """Give each row its code; a contact without one is gone."""
    found = [(row.position, row.subject_id) for row in rows]
    return [
        RowResult(position, "not_found" if one is None else codes.get(one, "not_found"))
        for position, one in found
    ]


class ContactActions:
    """Acts on contacts: at once on a few, in the background on many.

    Either way it is a job, which has the result of each of them. ``at_most`` is how many the user
    was shown, lest more are acted on (``more_match``).
    """

    def __init__(
        self, database: Database, handlers: Mapping[JobKind, Handler], *, default_region: str
    ) -> None:
        self._database = database
        self._handlers = handlers
        self._default_region = default_region

    async def outlook(self, wanted: ContactFilter) -> Outlook:
        """Count the contacts that match a filter, and what opting them out would end.

        Raises:
            InvalidFieldError: See ``services.contacts.contacts.clean_filter``.
        """
        async with self._database.transaction() as tx:
            return await rows.outlook(tx, await self._cleaned(tx, wanted))

    async def add_to_group(
        self,
        wanted: Whom,
        user_id: UUID,
        *,
        group_id: UUID | None,
        new_group: str = "",
        at_most: int | None = None,
    ) -> JobDetails:
        """Put the contacts that match a filter into a group, or into a new one of that name.

        Raises:
            InvalidFieldError: Nobody matches, the filter is invalid; there is no such group, none
                is given, or both; the name is invalid (``new_group``).
            ConflictError: ``group_taken``.
        """
        if (group_id is None) != bool(new_group.strip()):
            reason = "is missing; choose a group, or name a new one"
            if group_id is not None:
                reason = "is chosen, and a new one is named as well; give one of the two"
            raise InvalidFieldError(GROUP_ID, reason)
        async with self._database.transaction() as tx:
            if group_id is None:
                group_id = await add_group(tx, new_group, field="new_group")
            else:
                await require_group(tx, group_id)
            params = {GROUP_ID: str(group_id)}
            return await self._act(tx, JobKind.GROUP_CONTACTS, params, wanted, user_id, at_most)

    async def remove_from_group(
        self, wanted: ContactFilter, user_id: UUID, *, group_id: UUID, at_most: int | None = None
    ) -> JobDetails:
        """Take the contacts that match a filter out of a group; they stay contacts.

        Raises:
            InvalidFieldError: Nobody matches, the filter is invalid; there is no such group.
        """
        async with self._database.transaction() as tx:
            await require_group(tx, group_id)
            params = {GROUP_ID: str(group_id)}
            return await self._act(tx, JobKind.UNGROUP_CONTACTS, params, wanted, user_id, at_most)

    async def assign(
        self,
        wanted: ContactFilter,
        user_id: UUID,
        *,
        owner_id: UUID | None,
        at_most: int | None = None,
    ) -> JobDetails:
        """Give the contacts that match a filter an owner, or (None) none.

        Raises:
            InvalidFieldError: Nobody matches, the filter is invalid; ``unknown_user``.
        """
        async with self._database.transaction() as tx:
            values = {OWNER_ID: owner_id}
            require_owner(values, await possible_owners(tx, [values]))
            params = {OWNER_ID: _text(owner_id)}
            return await self._act(tx, JobKind.ASSIGN_CONTACTS, params, wanted, user_id, at_most)

    async def opt_out(
        self, wanted: ContactFilter, user_id: UUID, *, reason: str, at_most: int | None = None
    ) -> JobDetails:
        """Opt the contacts that match a filter out by hand, for all senders.

        Whoever is opted out already keeps the evidence.

        Raises:
            InvalidFieldError: Nobody matches, the filter or the reason is invalid.
        """
        params = {OPT_OUT_REASON: names.clean(reason, field="reason", most=REASON_LENGTH)}
        while True:
            with suppress(MovedError):
                async with self._database.transaction() as tx:
                    return await self._act(
                        tx, JobKind.OPT_OUT_CONTACTS, params, wanted, user_id, at_most
                    )

    async def undo(self, job_id: UUID, user_id: UUID) -> JobDetails:
        """Take back what a job of one's own changed, by a job of its own, once and within an hour.

        Who was added to a group is taken out, unless somebody else has added them again since; who
        was taken out is added; whoever still has the owner of the job gets the one before.

        Raises:
            NotFoundError: The user has no such job.
            ConflictError: ``not_undoable``.
        """
        async with self._database.transaction() as tx:
            job = await jobs.get(tx, job_id, lock=True)
            if job is None or job.user_id != user_id:
                raise NotFoundError("job", job_id)
            opposite = _OPPOSITES.get(job.kind)
            if opposite is None or not job.state.is_final:
                raise ConflictError(
                    "not_undoable", "this cannot be taken back, or is not done yet; wait for it"
                )
            if not _is_fresh(job) or await rows.is_undone(tx, job_id, user_id):
                raise ConflictError(
                    "not_undoable", "this was undone already, or is more than an hour ago"
                )
            kind, code = opposite
            params = {name: job.params[name] for name in (GROUP_ID, OWNER_ID) if name in job.params}
            params[_UNDO_OF] = str(job_id)
            taken_back = await jobs.create(tx, kind, user_id, params)
            await jobs.add_again(tx, taken_back, of=job_id, code=code)
            return await self._begin(tx, taken_back, user_id)

    async def _cleaned(self, tx: Transaction, wanted: ContactFilter) -> ContactFilter:
        return await clean_filter(tx, wanted, region=self._default_region)

    async def _act(
        self,
        tx: Transaction,
        kind: JobKind,
        params: Mapping[str, Any],
        wanted: Whom,
        user_id: UUID,
        at_most: int | None,
    ) -> JobDetails:
        job_id = await jobs.create(tx, kind, user_id, params)
        if isinstance(wanted, Enrolled):
            listed = await cleaned(tx, wanted.wanted)
            matching = enrollment_list.ids_matching(wanted.sequence_id, listed)
            selected = rows.contacts_of(matching)
        else:
            selected = contacts.ids_matching(await self._cleaned(tx, wanted))
        await jobs.add_selected(tx, job_id, selected)
        if at_most is not None:
            found = required(await jobs.get(tx, job_id), "job", job_id)
            check_not_more(found.total, at_most)
        job = await self._begin(tx, job_id, user_id)
        if not job.total:
            raise InvalidFieldError("contact", "names no one who is still here")
        return job

    async def _begin(self, tx: Transaction, job_id: UUID, user_id: UUID) -> JobDetails:
        """Act on the rows of a job if one transaction can, else leave them to the background."""
        job = required(await jobs.get(tx, job_id), "job", job_id)
        handler = self._handlers[job.kind]
        if 0 < job.total <= handler.at_once:
            await jobs.begin(tx, job_id)
            taken = await jobs.take(tx, job_id, job.total)
            await jobs.store_results(tx, job_id, await handler.run(tx, job, taken))
        job = await start(tx, job_id, user_id)
        return replace(job, counts=await jobs.counts(tx, job_id))
