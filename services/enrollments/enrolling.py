"""Enrolling contacts into a sequence, thousands in one call."""

import asyncio
from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID, uuid4

from domain.enrollments.variables import checked_variables
from domain.platform.errors import ConflictError, InvalidFieldError, Problems, required
from domain.platform.phones import zones_prefix
from domain.sequences.steps import keys_of
from domain.sequences.texts import Value
from domain.sequences.timing import ContactClock, next_slot, step_due
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceState
from services.contacts.groups import require_group
from services.contacts.values import clean_external_id
from services.platform import audit, rate_limits
from storage.enrollments import enrolling as rows
from storage.enrollments import enrollments
from storage.enrollments.enrolling import Candidate, NewRow, SequenceSnapshot, Start
from storage.platform import workspace
from storage.platform.database import Database, Transaction
from storage.sequences import sequences

MAX_CONTACTS = 10_000

_HOUR = timedelta(hours=1)

_CLOCKS_AT_ONCE = 100
_WRONG_ROWS_MOST = 100
_OPEN = frozenset({SequenceState.ACTIVE, SequenceState.PAUSED})


class SkipCode(StrEnum):
    """Why a contact was not enrolled."""

    ALREADY_ACTIVE = "already_active"
    UNKNOWN_CONTACT = "unknown_contact"
    ALL_STEPS_PAST = "all_steps_past"


class ContactAsked(NamedTuple):
    """A contact to enroll, as a request names one.

    Attributes:
        id: This or ``external_id``, not both.
        variables: By key, not checked yet; None stands for nothing.
    """

    id: UUID | None = None
    external_id: str | None = None
    variables: Mapping[str, object] = MappingProxyType({})


class Chosen(NamedTuple):
    """A contact to enroll.

    Attributes:
        contact_id: None if nobody has the external id.
        external_id: If the request named the contact by it.
    """

    contact_id: UUID | None
    external_id: str | None = None
    variables: Mapping[str, Value] = MappingProxyType({})


class Enrolled(NamedTuple):
    """A contact who was enrolled; an omitted one has a final status."""

    id: UUID
    contact_id: UUID
    status: EnrollmentStatus
    external_id: str | None = None


class Skipped(NamedTuple):
    """A contact who was not enrolled, and why; without a ``contact_id`` by an unknown id."""

    contact_id: UUID | None
    code: SkipCode
    external_id: str | None = None


@dataclass(frozen=True)
class EnrollResult:
    """The result of enrolling; every contact asked for is in one of the two, in the order asked.

    Those asked for by their external id name it.
    """

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
        contacts: Many[ContactAsked] | None = None,
        group_id: UUID | None = None,
        within: Transaction | None = None,
    ) -> EnrollResult:
        """Enroll 1 to 10,000 contacts, or a group's members, into a sequence's current version.

        All in one transaction: the caller's, or one of its own. Suppressed numbers and landlines
        get a row with a final status and no workflow. Whoever has no owner is the user's from now
        on. Duplicate ``contact_ids`` count once.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``: it is a draft or archived.
            InvalidFieldError: Not exactly one of the three, too many contacts or none.
            InvalidRequestError: See ``chosen``.
            TooManyRequestsError: The user enrolled too many in this hour; nobody was enrolled.
        """
        check_one_way(contact_ids, contacts, group_id)
        async with self._database.within(within) as tx:
            if group_id is not None:
                asked = await _members(tx, group_id)
            else:
                asked = await chosen(tx, sequence_id, contact_ids, contacts)
            answer = await self.enroll_chosen(tx, sequence_id, user_id, asked)
            # Last: others who enroll for the same user wait from here until the commit.
            await limit_enrolling(tx, user_id, len(answer.enrolled), self._most_per_hour)
        return answer

    async def enroll_chosen(
        self, tx: Transaction, sequence_id: UUID, user_id: UUID, asked: Many[Chosen]
    ) -> EnrollResult:
        """Enroll contacts whose number is checked and counted against the user's limit already.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
        """
        ids = [one.contact_id for one in asked if one.contact_id is not None]
        found = await rows.contacts_by_id(tx, ids)
        # Before the lock: computing the zones of ten thousand numbers abroad takes a second.
        clocks = await _clocks(found, await workspace.zone(tx, self._zone))
        sequence = await open_sequence(tx, sequence_id)
        variables = {one.contact_id: one.variables for one in asked if one.contact_id is not None}
        new, skipped = await _decide(tx, sequence_id, sequence, found, clocks, variables)
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
        owned = {one.contact_id for one in found if one.is_owned}
        theirs = [row.contact_id for row in new if row.id in written]
        if unowned := [one for one in theirs if one not in owned]:
            await rows.own(tx, unowned, user_id)
        return _answer(asked, new, written, skipped)

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
        new, skipped = await _decide(tx, sequence_id, sequence, found, clocks, {})
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

        The moment is in UTC; None if every date is past, or it goes by a date of each contact.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
        """
        async with self._database.transaction() as tx:
            zone = await workspace.zone(tx, self._zone)
            sequence = await open_sequence(tx, sequence_id)
        start = _start(sequence, ContactClock((zone,), zone))
        if start is None or sequence.steps[start.position - 1].anchor_key is not None:
            return None
        return start.next_send_at


async def _clocks(found: Many[Candidate], zone: str) -> dict[UUID, ContactClock]:
    """Compute the contacts' clocks, yielding to other requests now and then."""
    by_origin: dict[tuple[str | None, ...], ContactClock] = {}
    clocks: dict[UUID, ContactClock] = {}
    for one in found:
        # Abroad a number says nothing more once the zone is known.
        area = zones_prefix(one.phone) if one.time_zone is None else one.phone[:5]
        origin = (area, one.time_zone, one.country, one.state, one.postal_code)
        clock = by_origin.get(origin)
        if clock is None:
            clock = one.clock(zone)
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


def check_one_way(*ways: object) -> None:
    """Check that exactly one way to say whom to enroll is taken.

    Raises:
        InvalidFieldError: ``one_of_two``.
    """
    if sum(way is not None for way in ways) != 1:
        raise InvalidFieldError(
            "contact_ids",
            "give exactly one of contact_ids, contacts and group_id",
            code="one_of_two",
        )


async def chosen(
    tx: Transaction,
    sequence_id: UUID,
    contact_ids: Many[UUID] | None,
    contacts: Many[ContactAsked] | None,
) -> list[Chosen]:
    """Find contacts as a request names them, in one of two ways, in its order.

    Their variables are checked by the texts of the sequence.

    Raises:
        NotFoundError: There is no such sequence.
        InvalidFieldError: ``contact_count``: too many contacts or none.
        InvalidRequestError: The first rows that are wrong, as ``contacts.N``: ``one_of_two``,
            ``duplicate_contact``, or as ``checked_variables``.
    """
    if contacts is None:
        return [Chosen(one) for one in distinct(contact_ids or ())]
    _check_count("contacts", len(contacts))
    sequence = required(
        await sequences.find(tx, sequence_id, counted=False), "sequence", sequence_id
    )
    used = keys_of(sequence.steps)
    external = _external_ids(contacts)
    known = await rows.ids_by_external_id(tx, list(external.values())) if external else {}
    problems = Problems()
    found: list[Chosen] = []
    first: dict[UUID | str, int] = {}
    for index, one in enumerate(contacts):
        if index - len(found) == _WRONG_ROWS_MOST:
            break
        path = f"contacts.{index}"
        if (one.id is None) == (one.external_id is None):
            problems.add(path, "must have either id or external_id", code="one_of_two")
            continue
        contact_id = one.id if one.id is not None else known.get(external[index])
        earlier = first.setdefault(contact_id or external[index], index)
        if earlier != index:
            problems.add(
                path,
                f"is the contact of contacts.{earlier}; give each contact once",
                code="duplicate_contact",
            )
            continue
        with problems.collect():
            given = checked_variables(one.variables, field=f"{path}.variables", used=used)
            values = {key: value for key, value in given.items() if value is not None}
            found.append(Chosen(contact_id, one.external_id, values))
    problems.raise_any()
    return found


async def shared_variables(
    tx: Transaction, sequence_id: UUID, given: Mapping[str, object]
) -> dict[str, Value]:
    """Check variables for everybody who is enrolled in one go; blank ones are left out.

    Raises:
        NotFoundError: There is no such sequence.
        InvalidFieldError: Too many.
        InvalidRequestError: Those that are wrong, as ``checked_variables``.
    """
    if not given:
        return {}
    sequence = required(
        await sequences.find(tx, sequence_id, counted=False), "sequence", sequence_id
    )
    used = keys_of(sequence.steps)
    checked = checked_variables(given, field="variables", used=used)
    return {key: value for key, value in checked.items() if value is not None}


def _external_ids(contacts: Many[ContactAsked]) -> dict[int, str]:
    """Write external ids as contacts have them, by their place.

    Raises:
        InvalidRequestError: The first that no contact can have.
    """
    problems = Problems()
    found: dict[int, str] = {}
    for index, one in enumerate(contacts):
        if one.external_id is not None:
            with problems.collect():
                path = f"contacts.{index}.external_id"
                found[index] = clean_external_id(one.external_id, field=path)
            if index >= len(found) + _WRONG_ROWS_MOST:
                break
    problems.raise_any()
    return found


def distinct(contact_ids: Many[UUID]) -> list[UUID]:
    """Leave out duplicates.

    Raises:
        InvalidFieldError: ``contact_count``: too many contacts or none.
    """
    asked = list(dict.fromkeys(contact_ids))
    _check_count("contact_ids", len(asked))
    return asked


def _check_count(field: str, count: int) -> None:
    if not 1 <= count <= MAX_CONTACTS:
        raise InvalidFieldError(
            field, f"has {count} contacts; give 1 to {MAX_CONTACTS}", code="contact_count"
        )


async def _members(tx: Transaction, group_id: UUID) -> list[Chosen]:
    await require_group(tx, group_id)
    found = await rows.ids_of_group(tx, group_id, MAX_CONTACTS + 1)
    if not found:
        raise InvalidFieldError(
            "group_id", "is a group with no members; add some first", code="empty_group"
        )
    if len(found) > MAX_CONTACTS:
        raise InvalidFieldError(
            "group_id",
            f"names a group of more than {MAX_CONTACTS}; send the header Prefer: respond-async to"
            " have it enrolled in the background",
            code="contact_count",
        )
    return [Chosen(one) for one in found]


async def _decide(
    tx: Transaction,
    sequence_id: UUID,
    sequence: SequenceSnapshot,
    found: Many[Candidate],
    clocks: dict[UUID, ContactClock],
    variables: Mapping[UUID, Mapping[str, Value]],
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
                own = variables.get(contact_id, {})
                new.append(NewRow(uuid4(), contact_id, EnrollmentStatus.ACTIVE, start, own))
    return new, skipped


def _start(sequence: SequenceSnapshot, clock: ContactClock) -> Start | None:
    """Find the first step that is not past, and when it may go; None if all are past."""
    for step in sequence.steps:
        due_at = step_due(step, sequence.now, clock) or sequence.now
        if step.send_at is None or due_at > sequence.now:
            return Start(step.position, due_at, next_slot(due_at, sequence.hours, clock).at)
    return None


def _answer(
    asked: Many[Chosen], new: Many[NewRow], written: set[UUID], skipped: dict[UUID, SkipCode]
) -> EnrollResult:
    by_contact: dict[UUID | None, NewRow] = {row.contact_id: row for row in new}
    reasons: dict[UUID | None, SkipCode] = dict(skipped.items())
    enrolled: list[Enrolled] = []
    left_out: list[Skipped] = []
    for contact_id, external_id, _ in asked:
        row = by_contact.get(contact_id)
        if row is not None and row.id in written:
            enrolled.append(Enrolled(row.id, row.contact_id, row.status, external_id))
            continue
        # Another request enrolled them between our read and our insert.
        lost = SkipCode.ALREADY_ACTIVE if row is not None else SkipCode.UNKNOWN_CONTACT
        left_out.append(Skipped(contact_id, reasons.get(contact_id, lost), external_id))
    return EnrollResult(enrolled, left_out)
