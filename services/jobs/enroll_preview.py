"""What enrolling people would come to, before anything is done."""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar
from uuid import UUID, uuid4

from domain.contacts import pasted_numbers
from domain.jobs.csv_rows import PIECE, CsvReader, Record
from domain.platform.errors import InvalidFieldError
from domain.platform.names import clean
from domain.platform.phones import check_region, normalize
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from services.contacts.contacts import NAME_LENGTH
from services.contacts.groups import require_group
from services.enrollments.enrolling import Enrolling, SkipCode, distinct, open_course
from services.jobs.contact_import import CheckedRows, Heading, Importing, headings
from services.messaging.unknown_numbers import made_known
from services.platform import audit
from storage.contacts import contacts
from storage.enrollments import enrolling
from storage.enrollments.enrolling import Candidate
from storage.jobs import contact_import
from storage.jobs import enroll_preview as rows
from storage.platform.database import Database, Transaction

ROWS_MOST = 200
"""Most rows of a preview that are shown one by one; those with something to say come first."""

SAMPLE_MOST = 5
"""How many records of a file are shown as they are."""

_CHUNK = 1_000
_T = TypeVar("_T")


class Foreseen(StrEnum):
    """What enrolling one person would come to.

    ``new``: enrolled. ``new_contact``: a contact is made first, then enrolled. ``unknown_number``:
    no contact has it; it can be added as one. ``opted_out`` and ``landline``: listed as omitted,
    never texted. The others are left out.
    """

    NEW = "new"
    NEW_CONTACT = "new_contact"
    UNKNOWN_NUMBER = "unknown_number"
    ALREADY_ACTIVE = "already_active"
    OPTED_OUT = "opted_out"
    LANDLINE = "landline"
    ALL_STEPS_PAST = "all_steps_past"
    UNKNOWN_CONTACT = "unknown_contact"
    DUPLICATE = "duplicate"
    INVALID = "invalid"


_BY_FATE: Mapping[EnrollmentStatus | SkipCode, Foreseen] = {
    EnrollmentStatus.ACTIVE: Foreseen.NEW,
    EnrollmentStatus.OMITTED_OPTED_OUT: Foreseen.OPTED_OUT,
    EnrollmentStatus.OMITTED_LANDLINE: Foreseen.LANDLINE,
    SkipCode.ALREADY_ACTIVE: Foreseen.ALREADY_ACTIVE,
    SkipCode.ALL_STEPS_PAST: Foreseen.ALL_STEPS_PAST,
}
_UNREMARKABLE = frozenset({Foreseen.NEW, Foreseen.NEW_CONTACT})


@dataclass(frozen=True)
class ForeseenRow:
    """One person, number or row of a file.

    Attributes:
        outcome: What would come of it.
        line: Of the paste or file it is on, from 1; None for contacts and groups.
        contact_id: Who, if there is such a contact.
        name: Of the contact, or as the file says; may be empty.
        phone: E.164; as it was written where it is no number.
        reasons: What is wrong, with ``invalid``: field and reason.
    """

    outcome: Foreseen
    line: int | None = None
    contact_id: UUID | None = None
    name: str = ""
    phone: str = ""
    reasons: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class EnrollPreview:
    """What enrolling would come to.

    Attributes:
        total: Rows, duplicates and bad ones too.
        counts: By outcome, all of them.
        rows: At most ``ROWS_MOST``, those that are not simply enrolled first.
        contact_ids: Whom to enroll, of contacts and numbers: everyone who would get a row, in
            order. Empty for groups and files, which are enrolled as such.
        unknown_numbers: Of a paste, in order; for ``add_numbers``.
    """

    total: int
    counts: Mapping[Foreseen, int]
    rows: Many[ForeseenRow]
    contact_ids: Many[UUID] = ()
    unknown_numbers: Many[str] = ()


@dataclass(frozen=True)
class FilePreview:
    """A CSV file, how it is read, and what enrolling its people would come to.

    Attributes:
        headings: Its columns in order, each with the field that its name suggests.
        columns: Where the fields are taken from, as given or guessed.
        sample: Its first records after the first line, as they are.
        missing: Fields without which it cannot be read; then there is no job.
        job_id: The upload, for ``Importing.start(enroll_into=...)``, which enrolls everyone in it
            once they are imported, or ``discard``.
        preview: What would come of its rows.
    """

    headings: Many[Heading]
    columns: Mapping[str, int]
    sample: Many[Many[str]]
    missing: Many[str]
    job_id: UUID | None
    preview: EnrollPreview | None


@dataclass
class _Tally:
    """Counts rows and keeps those that are shown."""

    counts: Counter[Foreseen] = field(default_factory=Counter)
    told: list[ForeseenRow] = field(default_factory=list)
    others: list[ForeseenRow] = field(default_factory=list)

    def add(self, row: ForeseenRow) -> None:
        """Count a row."""
        self.counts[row.outcome] += 1
        kept = self.others if row.outcome in _UNREMARKABLE else self.told
        if len(kept) < ROWS_MOST:
            kept.append(row)

    def done(self, contact_ids: Many[UUID] = (), unknown_numbers: Many[str] = ()) -> EnrollPreview:
        """Give what was counted."""
        return EnrollPreview(
            total=self.counts.total(),
            counts={one: self.counts[one] for one in Foreseen},
            rows=[*self.told, *self.others][:ROWS_MOST],
            contact_ids=contact_ids,
            unknown_numbers=unknown_numbers,
        )


class EnrollPreviews:
    """The use case of looking before enrolling; only ``add_numbers`` and uploads write anything.

    Args:
        database: PostgreSQL.
        enrolling_rules: Whose rules it goes by.
        uploads: Keeps the rows of a file.
        default_region: ISO 3166-1 alpha-2 code of the country that numbers without a country code
            belong to.
    """

    def __init__(
        self,
        database: Database,
        enrolling_rules: Enrolling,
        uploads: Importing,
        *,
        default_region: str,
    ) -> None:
        self._database = database
        self._enrolling = enrolling_rules
        self._uploads = uploads
        self._default_region = default_region

    async def of_contacts(self, sequence_id: UUID, contact_ids: Many[UUID]) -> EnrollPreview:
        """Look at contacts; ids given twice count once.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
            InvalidFieldError: Too many contacts or none.
        """
        asked = distinct(contact_ids)
        tally, chosen = _Tally(), []
        async with self._database.transaction() as tx:
            for part in _chunks(asked):
                foreseen = await self._known(tx, sequence_id, part)
                for one in part:
                    row = foreseen.get(one) or ForeseenRow(Foreseen.UNKNOWN_CONTACT, contact_id=one)
                    tally.add(row)
                    if _gets_row(row):
                        chosen.append(one)
        return tally.done(chosen)

    async def of_group(self, sequence_id: UUID, group_id: UUID) -> EnrollPreview:
        """Look at all members of a group, however many.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
            InvalidFieldError: There is no such group.
        """
        tally = _Tally()
        last: UUID | None = None
        async with self._database.transaction() as tx:
            await require_group(tx, group_id)
            await open_course(tx, sequence_id)
            while part := await rows.members(tx, group_id, after=last, limit=_CHUNK):
                foreseen = await self._known(tx, sequence_id, part)
                for one in part:
                    if one in foreseen:
                        tally.add(foreseen[one])
                last = part[-1]
        return tally.done()

    async def of_numbers(
        self, sequence_id: UUID, pasted: str, *, region: str | None = None
    ) -> EnrollPreview:
        """Look at phone numbers, separated by line breaks, commas, semicolons or tabs.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
            InvalidFieldError: ``numbers``: too many or none; ``unknown_region``.
        """
        home = check_region(region or self._default_region)
        tally = _Tally()
        numbers: dict[str, int] = {}
        for line, written in pasted_numbers.split(pasted):
            try:
                phone = normalize(written, default_region=home)
            except InvalidFieldError as error:
                shown = written[:NAME_LENGTH]
                reasons = (("phone", error.reason),)
                tally.add(ForeseenRow(Foreseen.INVALID, line, phone=shown, reasons=reasons))
                continue
            if phone in numbers:
                tally.add(ForeseenRow(Foreseen.DUPLICATE, line, phone=phone))
            numbers.setdefault(phone, line)
        chosen: list[UUID] = []
        unknown: list[str] = []
        async with self._database.transaction() as tx:
            await open_course(tx, sequence_id)
            for part in _chunks(list(numbers)):
                known = await contacts.by_phone(tx, part)
                foreseen = await self._known(tx, sequence_id, [one.id for one in known.values()])
                new = await self._new(
                    tx, sequence_id, {one: {} for one in part if one not in known}
                )
                for phone in part:
                    row = foreseen[known[phone].id] if phone in known else new[phone]
                    if row.outcome is Foreseen.NEW_CONTACT:
                        row = ForeseenRow(Foreseen.UNKNOWN_NUMBER, phone=phone)
                        unknown.append(phone)
                    if row.contact_id is not None and _gets_row(row):
                        chosen.append(row.contact_id)
                    tally.add(_on_line(row, numbers[phone]))
        return tally.done(chosen, unknown)

    async def add_numbers(self, phones: Many[str]) -> list[UUID]:
        """Add contacts of whom only the number is known; it stands where their last name will.

        Args:
            phones: E.164, as ``EnrollPreview.unknown_numbers`` gives them.

        Returns:
            The contacts who have the numbers now, in order; who was added meanwhile too.

        Raises:
            InvalidFieldError: ``invalid_phone``, or too many numbers.
        """
        if len(phones) > pasted_numbers.NUMBERS_MOST:
            raise pasted_numbers.wrong_count(len(phones))
        numbers = list(dict.fromkeys(normalize(phone, field="phones") for phone in phones))
        async with self._database.transaction() as tx:
            new = [{"last_name": clean(phone, field="phones"), "phone": phone} for phone in numbers]
            created = await contact_import.insert(tx, new)
            if created:
                await made_known(tx, created)
                await audit.record(tx, "contact.create", "contact", created.values())
            known = await contacts.by_phone(tx, numbers)
        return [known[phone].id for phone in numbers]

    async def of_file(
        self,
        sequence_id: UUID,
        data: AsyncIterable[bytes],
        user_id: UUID,
        *,
        columns: Mapping[str, int] | None = None,
        region: str | None = None,
    ) -> FilePreview:
        """Read a CSV file, keep its rows as an upload, and look at them.

        To read it otherwise, ``discard`` the upload and send the file again with ``columns``.

        Args:
            sequence_id: The sequence.
            data: The file.
            user_id: Who uploads.
            columns: Where each field is, from 0; None to go by the names in the first line.
            region: Country of numbers without a country code.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``, ``upload_canceled``.
            InvalidFieldError: As ``Importing.receive``; but for a missing column nothing is raised.
        """
        async with self._database.transaction() as tx:
            await open_course(tx, sequence_id)
        home = check_region(region or self._default_region)
        start, rest = await _start(data)
        records = _first_records(start, whole=rest is None)
        heads = headings(records[0].cells) if records else []
        guessed = {one.field: index for index, one in enumerate(heads) if one.field is not None}
        taken = guessed if columns is None else dict(columns)
        sample = [record.cells for record in records[1 : SAMPLE_MOST + 1]]
        missing = _missing(taken)
        if missing:
            return FilePreview(heads, taken, sample, missing, None, None)
        job_id = await self._uploads.receive(
            _again(start, rest), user_id, region=home, columns=taken
        )
        try:
            preview = await self._upload(sequence_id, job_id, home)
        except BaseException:
            await self._uploads.discard(job_id)
            raise
        return FilePreview(heads, taken, sample, (), job_id, preview)

    async def _upload(self, sequence_id: UUID, job_id: UUID, region: str) -> EnrollPreview:
        tally = _Tally()
        seen: set[str] = set()
        last = -1
        while True:
            async with self._database.transaction() as tx:
                part = await contact_import.received_rows(tx, job_id, after=last, limit=_CHUNK)
                if not part:
                    return tally.done()
                checked = await self._uploads.check(part, region)
                for row in await self._checked(tx, sequence_id, checked, seen):
                    tally.add(row)
            last = part[-1].position

    async def _checked(
        self, tx: Transaction, sequence_id: UUID, checked: CheckedRows, seen: set[str]
    ) -> list[ForeseenRow]:
        """Look at a chunk of a file's rows, in the file's order."""
        found = {phone: one for phone, one in checked.first.items() if phone not in seen}
        known = await contacts.by_phone(tx, list(found))
        foreseen = await self._known(tx, sequence_id, [one.id for one in known.values()])
        new = {phone: values for phone, (_, values) in found.items() if phone not in known}
        made = await self._new(tx, sequence_id, new)
        lines = [
            _on_line(foreseen[known[phone].id] if phone in known else made[phone], line)
            for phone, (line, _) in found.items()
        ]
        again = [(line, phone) for phone, (line, _) in checked.first.items() if phone in seen]
        lines += [
            ForeseenRow(Foreseen.DUPLICATE, line, phone=phone)
            for line, phone in [*again, *checked.later]
        ]
        lines += [
            ForeseenRow(
                Foreseen.INVALID,
                one.position,
                reasons=tuple((error["field"], error["reason"]) for error in one.detail["errors"]),
            )
            for one in checked.invalid
        ]
        seen.update(found)
        return sorted(lines, key=lambda row: row.line or 0)

    async def _known(
        self, tx: Transaction, sequence_id: UUID, contact_ids: Many[UUID]
    ) -> dict[UUID, ForeseenRow]:
        """Look at contacts; those there are not are left out."""
        if not contact_ids:
            return {}
        found = await enrolling.contacts_by_id(tx, contact_ids, lock=False)
        fates = await self._enrolling.foresee(tx, sequence_id, found)
        called = await rows.names(tx, contact_ids)
        return {
            one.contact_id: ForeseenRow(
                _BY_FATE[fates[one.contact_id]],
                contact_id=one.contact_id,
                name=called.get(one.contact_id, ""),
                phone=one.phone,
            )
            for one in found
        }

    async def _new(
        self, tx: Transaction, sequence_id: UUID, values: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, ForeseenRow]:
        """Look at numbers that no contact has, with what else is known of them."""
        if not values:
            return {}
        stand_ins = [
            Candidate(uuid4(), phone, one.get("time_zone"), _line_type(one.get("line_type")))
            for phone, one in values.items()
        ]
        fates = await self._enrolling.foresee(tx, sequence_id, stand_ins)
        told: dict[str, ForeseenRow] = {}
        for one in stand_ins:
            outcome = _BY_FATE[fates[one.contact_id]]
            if outcome is Foreseen.NEW:
                outcome = Foreseen.NEW_CONTACT
            said = values[one.phone]
            name = f"{said.get('first_name', '')} {said.get('last_name', '')}".strip()
            told[one.phone] = ForeseenRow(outcome, name=name, phone=one.phone)
        return told


def _chunks(items: Many[_T]) -> Iterator[Many[_T]]:
    for first in range(0, len(items), _CHUNK):
        yield items[first : first + _CHUNK]


def _gets_row(row: ForeseenRow) -> bool:
    """Whether enrolling would list the contact, if only as omitted."""
    return row.outcome in {Foreseen.NEW, Foreseen.OPTED_OUT, Foreseen.LANDLINE}


def _on_line(row: ForeseenRow, line: int) -> ForeseenRow:
    return replace(row, line=line)


def _line_type(value: str | None) -> LineType | None:
    return None if value is None else LineType(value)


async def _start(
    data: AsyncIterable[bytes],
) -> tuple[bytes, AsyncIterator[bytes] | None]:
    """Take as much of a file as its first records need; the rest is None if that is all."""
    rest = aiter(data)
    start = bytearray()
    while len(start) < PIECE:
        try:
            start += await anext(rest)
        except StopAsyncIteration:
            return bytes(start), None
    return bytes(start), rest


async def _again(start: bytes, rest: AsyncIterator[bytes] | None) -> AsyncIterator[bytes]:
    """Give a file from its beginning."""
    yield start
    if rest is not None:
        async for piece in rest:
            yield piece


def _first_records(start: bytes, *, whole: bool) -> list[Record]:
    """Read the records that a file begins with.

    Raises:
        InvalidFieldError: ``invalid_encoding`` or ``invalid_csv``.
    """
    reader = CsvReader()
    records = reader.feed(start)
    return [*records, *reader.finish()] if whole else records


def _missing(taken: Mapping[str, int]) -> tuple[str, ...]:
    """Name the fields without which a file cannot be read; one of the names is enough."""
    named = {"first_name", "last_name"} & taken.keys()
    return (*(() if "phone" in taken else ("phone",)), *(() if named else ("first_name",)))
