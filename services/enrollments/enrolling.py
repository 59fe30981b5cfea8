"""Enrolling contacts into a sequence, thousands in one call."""

import asyncio
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID, uuid4

from domain.platform.errors import ConflictError, InvalidFieldError, required
from domain.platform.phones import zones_prefix
from domain.sequences.timing import ContactClock, next_slot, step_due
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceState
from services.contacts.groups import require_group
from services.platform import audit, rate_limits
from storage.enrollments import enrolling as rows
from storage.enrollments import enrollments
from storage.enrollments.enrolling import Candidate, NewRow, SequenceSnapshot, Start
from storage.platform import workspace
from storage.platform.database import Database, Transaction

MAX_CONTACTS = 10_000

_HOUR = timedelta(hours=1)

_CLOCKS_AT_ONCE = 100
_OPEN = frozenset({SequenceState.ACTIVE, SequenceState.PAUSED})


class SkipCode(StrEnum):
    """Why a contact was not enrolled."""

    ALREADY_ACTIVE = "already_active"
    UNKNOWN_CONTACT = "unknown_contact"
    ALL_STEPS_PAST = "all_steps_past"


class Enrolled(NamedTuple):
    """A contact who was enrolled; an omitted one has a final status."""

    id: UUID
    contact_id: UUID
    status: EnrollmentStatus


class Skipped(NamedTuple):
    """A contact who was not enrolled, and why."""

    contact_id: UUID
    code: SkipCode


@dataclass(frozen=True)
class EnrollResult:
    """The result of enrolling; every contact asked for is in one of the two, in the order asked."""

    enrolled: Many[Enrolled]
    skipped: Many[Skipped]


class Enrolling:
    """Enrolls contacts, for each user at most ``most_per_hour`` in an hour.

    ``workspace_zone`` is the IANA zone of a workspace that has set none.
    """

    def __init__(
        self, database: Database, *, workspace_zone: str, most_per_hour: int | None = None
    ) -> None:
        self._database = database
        self._zone = workspace_zone
        self._most_per_hour = most_per_hour

    async def enroll(
        self,
        sequence_id: UUID,
        user_id: UUID,
        *,
        contact_ids: Many[UUID] | None = None,
        group_id: UUID | None = None,
        within: Transaction | None = None,
        limited: bool = True,
    ) -> EnrollResult:
        """Enroll 1 to 10,000 contacts, or a group's members, into a sequence's current version.

        All in one transaction: the caller's, or one of its own. Suppressed numbers and landlines
        get a row with a final status and no workflow. Whoever has no owner is the user's from now
        on. Duplicate ids count once. A job passes
        ``limited=False``: it has counted its contacts against the user's limit already.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``: it is a draft or archived.
            InvalidFieldError: Not exactly one of the two, too many contacts or none.
            TooManyRequestsError: The user enrolled too many in this hour; nobody was enrolled.
        """
        if (contact_ids is None) == (group_id is None):
            raise InvalidFieldError(
                "contact_ids", "give either contact_ids or group_id", code="one_of_two"
            )
        async with self._database.within(within) as tx:
            if group_id is not None:
                some = await rows.ids_of_group(tx, group_id, MAX_CONTACTS)
                unowned = await rows.lock_unowned(tx, some)
                found = await _members(tx, group_id)
                asked = [candidate.contact_id for candidate in found]
            else:
                asked = distinct(contact_ids or ())
                unowned = await rows.lock_unowned(tx, asked)
                found = await rows.contacts_by_id(tx, asked)
            answer = await self._enroll(tx, sequence_id, user_id, asked, found)
            new = [one.contact_id for one in answer.enrolled if one.contact_id in unowned]
            if new:
                await rows.own(tx, new, user_id)
            if limited:
                # Last: others who enroll for the same user wait from here until the commit.
                await limit_enrolling(tx, user_id, len(answer.enrolled), self._most_per_hour)
        return answer

    async def predict(
        self, tx: Transaction, sequence_id: UUID, found: Many[Candidate]
    ) -> dict[UUID, EnrollmentStatus | SkipCode]:
        """Predict the status that each contact would get now, or why it would be skipped.

        Contacts may be stand-ins, with ids of their own, for contacts to be made.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
        """
        clocks = await _clocks(found, await workspace.zone(tx, self._zone))
        sequence = await open_sequence(tx, sequence_id)
        new, skipped = await _decide(tx, sequence_id, sequence, found, clocks)
        phones = {one.contact_id: one.phone for one in found}
        blocked = await rows.suppressed_numbers(tx, list(phones.values()), sequence.sender_id)
        foreseen: dict[UUID, EnrollmentStatus | SkipCode] = dict(skipped)
        for row in new:
            is_blocked = phones[row.contact_id] in blocked
            foreseen[row.contact_id] = (
                EnrollmentStatus.OMITTED_OPTED_OUT if is_blocked else row.status
            )
        return foreseen

    async def first_text_at(self, sequence_id: UUID) -> datetime | None:
        """Compute when a contact in the workspace's zone who is enrolled now gets the first text.

        The moment is in UTC; None if every date is past.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
        """
        async with self._database.transaction() as tx:
            zone = await workspace.zone(tx, self._zone)
            sequence = await open_sequence(tx, sequence_id)
        start = _start(sequence, ContactClock((zone,), zone))
        return None if start is None else start.next_send_at

    async def _enroll(
        self,
        tx: Transaction,
        sequence_id: UUID,
        user_id: UUID,
        asked: Many[UUID],
        found: Many[Candidate],
    ) -> EnrollResult:
        # Before the lock: computing the zones of ten thousand numbers abroad takes a second.
        clocks = await _clocks(found, await workspace.zone(tx, self._zone))
        sequence = await open_sequence(tx, sequence_id)
        new, skipped = await _decide(tx, sequence_id, sequence, found, clocks)
        written = await enrollments.enroll(tx, sequence_id, sequence, new, user_id)
        if written:
            await audit.record(
                tx,
                "enrollment.create",
                "enrollment",
                written,
                user_id=user_id,
                sequence_id=str(sequence_id),
            )
        return _answer(asked, new, written, skipped)


async def _clocks(found: Many[Candidate], zone: str) -> dict[UUID, ContactClock]:
    """Compute the contacts' clocks, yielding to other requests now and then."""
    by_origin: dict[str, ContactClock] = {}
    clocks: dict[UUID, ContactClock] = {}
    for one in found:
        origin = one.time_zone or zones_prefix(one.phone)
        clock = by_origin.get(origin)
        if clock is None:
            clock = ContactClock.of(time_zone=one.time_zone, phone=one.phone, workspace=zone)
            by_origin[origin] = clock
            if len(by_origin) % _CLOCKS_AT_ONCE == 0:
                await asyncio.sleep(0)
        clocks[one.contact_id] = clock
    return clocks


async def limit_enrolling(
    tx: Transaction, user_id: UUID, count: int, most_per_hour: int | None
) -> None:
    """Count enrolled contacts against a user's limit; a larger call takes the whole hour.

    Raises:
        TooManyRequestsError: Too many for this hour.
    """
    if count and most_per_hour is not None:
        cost = min(count, most_per_hour)
        await rate_limits.take(tx, f"enroll:{user_id}", cost, most_per_hour, _HOUR)


async def open_sequence(tx: Transaction, sequence_id: UUID) -> SequenceSnapshot:
    """Lock a sequence for enrolling and read it.

    Raises:
        NotFoundError: There is no such sequence.
        ConflictError: ``sequence_not_active``: it is a draft or archived.
    """
    sequence = required(await rows.lock_sequence_snapshot(tx, sequence_id), "sequence", sequence_id)
    if sequence.state not in _OPEN:
        raise ConflictError(
            "sequence_not_active",
            f"the sequence is {sequence.state.value}; only an active or paused one takes contacts",
            state=sequence.state.value,
        )
    return sequence


def distinct(contact_ids: Many[UUID]) -> list[UUID]:
    """Leave out duplicates.

    Raises:
        InvalidFieldError: ``contact_count``: too many contacts or none.
    """
    asked = list(dict.fromkeys(contact_ids))
    if not 1 <= len(asked) <= MAX_CONTACTS:
        raise InvalidFieldError(
            "contact_ids",
            f"has {len(asked)} contacts; give 1 to {MAX_CONTACTS}",
            code="contact_count",
        )
    return asked


async def _members(tx: Transaction, group_id: UUID) -> list[Candidate]:
    await require_group(tx, group_id)
    found = await rows.contacts_of_group(tx, group_id, MAX_CONTACTS + 1)
    if not found:
        raise InvalidFieldError(
            "group_id", "names a group without members; add some first", code="empty_group"
        )
    if len(found) > MAX_CONTACTS:
        raise InvalidFieldError(
            "group_id",
            f"names a group of more than {MAX_CONTACTS}; send the header Prefer: respond-async to"
            " have it enrolled in the background",
            code="contact_count",
        )
    return found


async def _decide(
    tx: Transaction,
    sequence_id: UUID,
    sequence: SequenceSnapshot,
    found: Many[Candidate],
    clocks: dict[UUID, ContactClock],
) -> tuple[list[NewRow], dict[UUID, SkipCode]]:
    """Build the rows to insert, and tell why other contacts are skipped."""
    ids = [candidate.contact_id for candidate in found]
    active = await rows.active_in(tx, sequence_id, ids)
    opted_out = await rows.opted_out(tx, ids, sequence.sender_id)
    starts: dict[ContactClock, Start | None] = {}
    new: list[NewRow] = []
    skipped: dict[UUID, SkipCode] = {}
    for one in found:
        contact_id = one.contact_id
        if contact_id in active:
            skipped[contact_id] = SkipCode.ALREADY_ACTIVE
        elif contact_id in opted_out:
            new.append(NewRow(uuid4(), contact_id, EnrollmentStatus.OMITTED_OPTED_OUT))
        elif one.line_type is LineType.LANDLINE:
            new.append(NewRow(uuid4(), contact_id, EnrollmentStatus.OMITTED_LANDLINE))
        else:
            clock = clocks[contact_id]
            if clock not in starts:
                starts[clock] = _start(sequence, clock)
            start = starts[clock]
            if start is None:
                skipped[contact_id] = SkipCode.ALL_STEPS_PAST
            else:
                new.append(NewRow(uuid4(), contact_id, EnrollmentStatus.ACTIVE, start))
    return new, skipped


def _start(sequence: SequenceSnapshot, clock: ContactClock) -> Start | None:
    """Find the first step that is not past, and when it may go; None if all are past."""
    for step in sequence.steps:
        due_at = step_due(step, sequence.now, clock)
        if step.send_at is None or due_at > sequence.now:
            return Start(step.position, due_at, next_slot(due_at, sequence.send_window, clock).at)
    return None


def _answer(
    asked: Many[UUID], new: Many[NewRow], written: set[UUID], skipped: dict[UUID, SkipCode]
) -> EnrollResult:
    by_contact = {row.contact_id: row for row in new}
    enrolled: list[Enrolled] = []
    left_out: list[Skipped] = []
    for contact_id in asked:
        row = by_contact.get(contact_id)
        if row is not None and row.id in written:
            enrolled.append(Enrolled(row.id, contact_id, row.status))
            continue
        # Another request enrolled them between our read and our insert.
        lost = SkipCode.ALREADY_ACTIVE if row is not None else SkipCode.UNKNOWN_CONTACT
        left_out.append(Skipped(contact_id, skipped.get(contact_id, lost)))
    return EnrollResult(enrolled, left_out)
