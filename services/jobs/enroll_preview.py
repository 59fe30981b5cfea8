"""Previews of enrolling: what would happen, before anything is done."""

from collections import Counter
from collections.abc import AsyncIterable, Iterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, TypeVar
from uuid import UUID, uuid4

from domain.contacts import pasted_numbers
from domain.contacts.names import full_name
from domain.platform.errors import InvalidFieldError
from domain.platform.names import clean
from domain.platform.phones import check_region, normalize
from domain.sequences.texts import Value
from domain.statuses.enrollments import EnrollmentStatus
from services.contacts.contacts import clean_filter
from services.contacts.groups import require_group
from services.contacts.merging import Merging, Outcome
from services.contacts.values import NAME_LENGTH, PLACE
from services.enrollments.enrolling import (
    Chosen,
    ContactAsked,
    Enrolling,
    SkipCode,
    chosen,
)
from services.jobs.contact_import import CheckedRows, Importing, check, headings, lacking
from services.jobs.csv_upload import Heading, first_records
from services.jobs.enroll_target import NOTHING, Given, Target, target_of
from services.jobs.jobs import require_import
from storage.contacts import contacts, fields
from storage.contacts.contacts import ContactFilter
from storage.enrollments import enrolling
from storage.enrollments.enrolling import Candidate
from storage.jobs import contact_import
from storage.jobs import enroll_preview as rows
from storage.jobs.jobs import imported_by
from storage.platform.database import Database, Transaction

ROWS_MOST = 200
"""Most rows of a preview; those that are not simply enrolled come first."""

SAMPLE_MOST = 5
"""Number of a file's records that are shown unchanged."""

_CHUNK = 1_000
_T = TypeVar("_T")


class Prediction(StrEnum):
    """What enrolling would do with one contact, number or row.

    ``new``: enroll. ``new_contact``: make a contact, then enroll it. ``unknown_number``: nothing,
    until a contact is added for it. ``opted_out`` and ``landline``: list it as omitted. The others
    are skipped.
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


_BY_RESULT: Mapping[EnrollmentStatus | SkipCode, Prediction] = {
    EnrollmentStatus.ACTIVE: Prediction.NEW,
    EnrollmentStatus.OMITTED_OPTED_OUT: Prediction.OPTED_OUT,
    EnrollmentStatus.OMITTED_LANDLINE: Prediction.LANDLINE,
    SkipCode.ALREADY_ACTIVE: Prediction.ALREADY_ACTIVE,
    SkipCode.ALL_STEPS_PAST: Prediction.ALL_STEPS_PAST,
}
_UNREMARKABLE = frozenset({Prediction.NEW, Prediction.NEW_CONTACT})


@dataclass(frozen=True)
class PredictedRow:
    """One contact, number or row of a file.

    Attributes:
        line: In the paste or file, from 1; None for contacts and groups.
        contact_id: The contact, if there is one.
        name: Of the contact, or from the file; may be empty.
        phone: E.164; as written if it is not a number.
        external_id: If a request named the contact by it.
        errors: With ``invalid``: what is wrong with each field.
        lacks: If they would be texted: what texts say, and neither they nor the variables have.
        lacks_consent: They would be enrolled, and no text goes before they agree to it.
    """

    outcome: Prediction
    line: int | None = None
    contact_id: UUID | None = None
    name: str = ""
    phone: str = ""
    external_id: str | None = None
    errors: tuple[InvalidFieldError, ...] = ()
    lacks: tuple[str, ...] = ()
    lacks_consent: bool = False


@dataclass(frozen=True)
class EnrollPreview:
    """What enrolling would do.

    Attributes:
        total: All rows, duplicates and invalid ones too.
        counts: By outcome, all of them.
        rows: At most ``ROWS_MOST``, those that are not simply enrolled first.
        contact_ids: For contacts and numbers: the contacts who would be listed, in order. Empty for
            groups and files, which are enrolled as a whole.
        unknown_numbers: Of a paste, in order; for ``add_numbers``.
        lacking: How many of those who would be texted lack something that texts say, by its name.
        unconsented: How many of them no text goes to before they agree to it.
    """

    total: int
    counts: Mapping[Prediction, int]
    rows: Many[PredictedRow]
    contact_ids: Many[UUID] = ()
    unknown_numbers: Many[str] = ()
    lacking: Mapping[str, int] = field(default_factory=dict)
    unconsented: int = 0


@dataclass(frozen=True)
class FilePreview:
    """How a CSV file is read, and what enrolling its contacts would do.

    Attributes:
        headings: Its columns in order, each with the field that its name suggests.
        columns: The index of each field's column, as given or guessed.
        samples: The values of each column in the first rows.
        missing: Required fields without a column; then there is no job.
        job_id: The upload, for ``Importing.start(enroll_into=...)`` or ``discard``.
    """

    headings: Many[Heading]
    columns: Mapping[str, int]
    samples: Many[Many[str]]
    missing: Many[str]
    job_id: UUID | None
    preview: EnrollPreview | None

    @property
    def held(self) -> Many[str]:
        """The field that each column holds; empty for none."""
        field_at = {index: name for name, index in self.columns.items()}
        return [field_at.get(index, "") for index in range(len(self.headings))]


@dataclass
class _Tally:
    """Counts rows and keeps those to show."""

    counts: Counter[Prediction] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    unconsented: int = 0
    told: list[PredictedRow] = field(default_factory=list)
    others: list[PredictedRow] = field(default_factory=list)

    def add(self, row: PredictedRow) -> None:
        """Count a row."""
        self.counts[row.outcome] += 1
        self.lacking.update(row.lacks)
        self.unconsented += row.lacks_consent
        plain = row.outcome in _UNREMARKABLE and not row.lacks and not row.lacks_consent
        kept = self.others if plain else self.told
        if len(kept) < ROWS_MOST:
            kept.append(row)

    def done(self, contact_ids: Many[UUID] = (), unknown_numbers: Many[str] = ()) -> EnrollPreview:
        """Build the preview."""
        return EnrollPreview(
            total=self.counts.total(),
            counts={one: self.counts[one] for one in Prediction},
            rows=[*self.told, *self.others][:ROWS_MOST],
            contact_ids=contact_ids,
            unknown_numbers=unknown_numbers,
            lacking=self.lacking,
            unconsented=self.unconsented,
        )


class EnrollPreviews:
    """Previews enrolling; only ``add_numbers`` and uploads write anything."""

    def __init__(
        self,
        database: Database,
        enrolling_: Enrolling,
        importing: Importing,
        merging: Merging,
        *,
        default_region: str,
    ) -> None:
        self._database = database
        self._enrolling = enrolling_
        self._importing = importing
        self._merging = merging
        self._default_region = default_region

    async def of_contacts(
        self,
        sequence_id: UUID,
        contact_ids: Many[UUID] | None = None,
        variables: Given = NOTHING,
        *,
        named: Many[ContactAsked] | None = None,
    ) -> EnrollPreview:
        """Preview contacts; duplicate ids count once. ``variables`` are everybody's, by key.

        In place of ids they may be ``named`` as for enrolling, each with variables of their own.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
            InvalidFieldError: Too many contacts or none.
            InvalidRequestError: See ``enrolling.shared_variables``, so for the others, and
                ``enrolling.chosen``.
        """
        async with self._database.transaction() as tx:
            target = await target_of(tx, sequence_id, variables)
            asked = await chosen(tx, sequence_id, contact_ids, named)
            return await self._of_chosen(tx, target, asked)

    async def of_group(
        self, sequence_id: UUID, group_id: UUID, variables: Given = NOTHING
    ) -> EnrollPreview:
        """Preview all members of a group.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
            InvalidFieldError: There is no such group.
        """
        tally = _Tally()
        last: UUID | None = None
        async with self._database.transaction() as tx:
            await require_group(tx, group_id)
            target = await target_of(tx, sequence_id, variables)
            while part := await rows.members(tx, group_id, after=last, limit=_CHUNK):
                predicted = await self._known(tx, target, part)
                for one in part:
                    if one in predicted:
                        tally.add(predicted[one])
                last = part[-1]
        return tally.done()

    async def of_list(
        self, sequence_id: UUID, matching: ContactFilter, variables: Given = NOTHING
    ) -> EnrollPreview:
        """Preview all contacts who match a filter.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``.
            InvalidFieldError: The filter is invalid.
        """
        async with self._database.transaction() as tx:
            target = await target_of(tx, sequence_id, variables)
            wanted = await clean_filter(tx, matching, region=self._default_region)
            return await self._of_ids(tx, target, await tx.column(contacts.ids_matching(wanted)))

    async def of_import(
        self, sequence_id: UUID, import_id: UUID, variables: Given = NOTHING
    ) -> EnrollPreview:
        """Preview the contacts of an import that is done.

        Raises:
            NotFoundError: There is no such sequence or import.
            ConflictError: ``sequence_not_active``, ``import_not_done``.
        """
        async with self._database.transaction() as tx:
            target = await target_of(tx, sequence_id, variables)
            await require_import(tx, import_id)
            return await self._of_ids(tx, target, await tx.column(imported_by(import_id)))

    async def of_numbers(
        self,
        sequence_id: UUID,
        pasted: str,
        variables: Given = NOTHING,
        *,
        region: str | None = None,
    ) -> EnrollPreview:
        """Preview phone numbers, separated by line breaks, commas, semicolons or tabs.

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
                tally.add(PredictedRow(Prediction.INVALID, line, phone=shown, errors=(error,)))
                continue
            if phone in numbers:
                tally.add(PredictedRow(Prediction.DUPLICATE, line, phone=phone))
            numbers.setdefault(phone, line)
        enrolled: list[UUID] = []
        unknown: list[str] = []
        async with self._database.transaction() as tx:
            target = await target_of(tx, sequence_id, variables)
            for part in _chunks(list(numbers)):
                predicted = await self._by_number(tx, target, part)
                for phone, found in predicted.items():
                    row = found
                    if row.outcome is Prediction.NEW_CONTACT:
                        row = replace(row, outcome=Prediction.UNKNOWN_NUMBER)
                        unknown.append(phone)
                    if row.contact_id is not None and _gets_row(row):
                        enrolled.append(row.contact_id)
                    tally.add(replace(row, line=numbers[phone]))
        return tally.done(enrolled, unknown)

    async def add_numbers(self, phones: Many[str]) -> list[UUID]:
        """Add contacts for ``EnrollPreview.unknown_numbers``, which also serve as their last names.

        The contacts who have the numbers now are returned in order.

        Raises:
            InvalidFieldError: ``invalid_phone``, or too many numbers.
        """
        if len(phones) > pasted_numbers.NUMBERS_MOST:
            raise pasted_numbers.wrong_count(len(phones))
        numbers = list(dict.fromkeys(normalize(phone, field="phones") for phone in phones))
        rows = {
            position: {"last_name": clean(phone, field="phones"), "phone": phone}
            for position, phone in enumerate(numbers)
        }
        async with self._database.transaction() as tx:
            await self._merging.merge(tx, rows, keep=True)
            known = await contacts.by_phone(tx, numbers)
        return [known[phone] for phone in numbers]

    async def of_file(
        self,
        sequence_id: UUID,
        data: AsyncIterable[bytes],
        user_id: UUID,
        variables: Given = NOTHING,
        *,
        columns: Mapping[str, int] | None = None,
        region: str | None = None,
    ) -> FilePreview:
        """Store a CSV file's rows as an upload, and preview them.

        To read it with other columns, ``discard`` the upload and send the file again. ``columns``
        is as for ``Importing.receive``.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``sequence_not_active``, ``upload_canceled``.
            InvalidFieldError: As ``Importing.receive``, except ``missing_column``.
        """
        async with self._database.transaction() as tx:
            target = await target_of(tx, sequence_id, variables)
            own = await fields.find(tx)
        home = check_region(region or self._default_region)
        records, whole = await first_records(data)
        heads = headings(records[0].cells, own) if records else []
        guessed = {one.field: index for index, one in enumerate(heads) if one.field is not None}
        taken = guessed if columns is None else dict(columns)
        rows = [record.cells for record in records[1 : SAMPLE_MOST + 1]]
        samples = [[row[at] for row in rows if at < len(row)] for at in range(len(heads))]
        missing = lacking(taken)
        if missing:
            return FilePreview(heads, taken, samples, missing, None, None)
        job_id = await self._importing.receive(whole, user_id, region=home, columns=taken)
        try:
            preview = await self._upload(target, job_id, home)
        except BaseException:
            await self._importing.discard(job_id)
            raise
        return FilePreview(heads, taken, samples, (), job_id, preview)

    async def _upload(self, target: Target, job_id: UUID, region: str) -> EnrollPreview:
        tally = _Tally()
        seen: set[UUID | str] = set()
        last = -1
        while True:
            async with self._database.transaction() as tx:
                part = await contact_import.received_rows(tx, job_id, after=last, limit=_CHUNK)
                if not part:
                    return tally.done()
                checked = await check(tx, part, region)
                for row in await self._checked(tx, target, checked, seen):
                    tally.add(row)
            last = part[-1].position

    async def _checked(
        self, tx: Transaction, target: Target, checked: CheckedRows, seen: set[UUID | str]
    ) -> list[PredictedRow]:
        """Preview a chunk of a file's rows, in the file's order.

        ``seen`` are the contacts, and the numbers of new ones, of the rows before.
        """
        merged = await self._merging.merge(tx, checked.valid, keep=True, dry_run=True)
        lines: list[PredictedRow] = []
        known: dict[int, UUID] = {}
        new: dict[int, str] = {}
        wrong = dict(checked.invalid)
        for line, one in merged.items():
            phone = checked.valid[line].get("phone", "")
            who = one.contact_id or phone
            if one.outcome is Outcome.ERROR:
                wrong[line] = one.errors
            elif one.outcome is Outcome.DUPLICATE or who in seen:
                lines.append(PredictedRow(Prediction.DUPLICATE, line, phone=phone))
            else:
                seen.add(who)
                if one.contact_id is None:
                    new[line] = phone
                else:
                    known[line] = one.contact_id
        found = await self._known(tx, target, list(known.values()))
        lines += [replace(found[one], line=line) for line, one in known.items() if one in found]
        values = {phone: checked.valid[line] for line, phone in new.items()}
        made = await self._new(tx, target, values)
        lines += [replace(made[phone], line=line) for line, phone in new.items()]
        lines += [
            PredictedRow(Prediction.INVALID, line, errors=errors) for line, errors in wrong.items()
        ]
        agreed = {line for line, one in checked.consents.items() if target.suffices(one)}
        lines = [
            replace(row, lacks_consent=row.lacks_consent and row.line not in agreed)
            for row in lines
        ]
        return sorted(lines, key=lambda row: row.line or 0)

    async def _of_ids(self, tx: Transaction, target: Target, asked: Many[UUID]) -> EnrollPreview:
        """Preview contacts by id."""
        return await self._of_chosen(tx, target, [Chosen(one) for one in asked])

    async def _of_chosen(
        self, tx: Transaction, target: Target, asked: Many[Chosen]
    ) -> EnrollPreview:
        """Preview contacts, each with variables of their own."""
        tally = _Tally()
        enrolled: list[UUID] = []
        for part in _chunks(asked):
            own = {one.contact_id: one.variables for one in part if one.contact_id is not None}
            predicted = await self._known(tx, target, list(own), own)
            for contact_id, external_id, _ in part:
                row = PredictedRow(Prediction.UNKNOWN_CONTACT, contact_id=contact_id)
                if contact_id is not None:
                    row = predicted.get(contact_id, row)
                    if _gets_row(row):
                        enrolled.append(contact_id)
                tally.add(replace(row, external_id=external_id))
        return tally.done(enrolled)

    async def _by_number(
        self, tx: Transaction, target: Target, phones: Many[str]
    ) -> dict[str, PredictedRow]:
        """Preview numbers, in order."""
        known = await contacts.by_phone(tx, phones)
        predicted = await self._known(tx, target, list(known.values()))
        unknown: dict[str, Mapping[str, Any]] = {one: {} for one in phones if one not in known}
        new = await self._new(tx, target, unknown)
        return {
            phone: predicted[known[phone]] if phone in known else new[phone] for phone in phones
        }

    async def _known(
        self,
        tx: Transaction,
        target: Target,
        contact_ids: Many[UUID],
        variables: Mapping[UUID, Mapping[str, Value]] = MappingProxyType({}),
    ) -> dict[UUID, PredictedRow]:
        """Preview contacts by id; unknown ones are left out. ``variables`` are each one's own."""
        if not contact_ids:
            return {}
        found = await enrolling.contacts_by_id(tx, contact_ids, lock=False)
        results = await self._enrolling.predict(tx, target.id, found)
        people = await rows.people(tx, contact_ids)
        unconsented = await target.unconsented(tx, [one.phone for one in found])
        told: dict[UUID, PredictedRow] = {}
        for one in found:
            person = people.get(one.contact_id)
            if person is None:
                continue  # erased since
            outcome = _BY_RESULT[results[one.contact_id]]
            texted = outcome is Prediction.NEW
            told[one.contact_id] = PredictedRow(
                outcome,
                contact_id=one.contact_id,
                name=person.name,
                phone=one.phone,
                lacks=target.lacks(*person[1:], variables.get(person.id, {})) if texted else (),
                lacks_consent=texted and one.phone in unconsented,
            )
        return told

    async def _new(
        self, tx: Transaction, target: Target, values: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, PredictedRow]:
        """Preview numbers without a contact, by number; ``values`` has what is said of each."""
        if not values:
            return {}
        stand_ins = [
            Candidate(
                contact_id=uuid4(),
                phone=phone,
                **{name: one.get(name) for name in ("time_zone", *PLACE, "line_type")},
                is_owned=False,
            )
            for phone, one in values.items()
        ]
        results = await self._enrolling.predict(tx, target.id, stand_ins)
        unconsented = await target.unconsented(tx, list(values))
        told: dict[str, PredictedRow] = {}
        for one in stand_ins:
            outcome = _BY_RESULT[results[one.contact_id]]
            if outcome is Prediction.NEW:
                outcome = Prediction.NEW_CONTACT
            said = values[one.phone]
            first, last = said.get("first_name", ""), said.get("last_name", "")
            lacks = target.lacks(first, last, one.phone, said.get("fields", {}))
            told[one.phone] = PredictedRow(
                outcome,
                name=full_name(first, last),
                phone=one.phone,
                lacks=lacks if outcome is Prediction.NEW_CONTACT else (),
                lacks_consent=outcome is Prediction.NEW_CONTACT and one.phone in unconsented,
            )
        return told


def _chunks(items: Many[_T]) -> Iterator[Many[_T]]:
    for first in range(0, len(items), _CHUNK):
        yield items[first : first + _CHUNK]


def _gets_row(row: PredictedRow) -> bool:
    """Tell whether enrolling would list the contact, if only as omitted."""
    return row.outcome in {Prediction.NEW, Prediction.OPTED_OUT, Prediction.LANDLINE}
