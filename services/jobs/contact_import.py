"""Importing contacts from a CSV file."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from uuid import UUID

from domain.event_webhooks.events import ContactChange
from domain.platform.errors import InvalidFieldError, InvalidRequestError, Problems
from domain.platform.phones import check_region
from domain.statuses.contacts import LineType
from domain.statuses.jobs import JobKind
from services.contacts.contacts import ContactFields, cleaned, given
from services.contacts.groups import require_group
from services.enrollments.enrolling import open_sequence
from services.jobs.csv_upload import (
    Columns,
    CsvUpload,
    by_name,
    invalid,
    letters,
    trimmed,
    unreadable,
)
from services.jobs.jobs import ENROLL_INTO, Handler
from services.messaging.unknown_numbers import made_known
from services.platform import audit
from services.suppression.erasure import recall
from storage.contacts import contacts, groups
from storage.contacts.contacts import Known
from storage.event_webhooks import events
from storage.jobs import contact_import, jobs
from storage.jobs.jobs import JobDetails, OpenRow, RowResult
from storage.platform.database import Transaction

_ROWS_AT_ONCE = 1000
_CHECKED_AT_ONCE = 100

PHONE_HEADINGS = (
    *("phone", "phonenumber", "mobile", "mobilephone", "mobilenumber", "cell", "cellphone"),
    "telephone",
)
"""Names of a column of numbers, reduced to their letters."""

_FIELDS = {
    "first_name": ("firstname", "first", "givenname", "forename"),
    "last_name": ("lastname", "last", "surname", "familyname"),
    "phone": PHONE_HEADINGS,
    "time_zone": ("timezone", "tz"),
    "line_type": ("linetype",),
}
_FIELD_OF = {heading: name for name, headings in _FIELDS.items() for heading in headings}
_LINE_TYPES = {one.value.lower(): one for one in LineType}


class Heading(NamedTuple):
    """A column of a file; ``field`` is the field that its name suggests, if any."""

    text: str
    field: str | None


@dataclass
class CheckedRows:
    """The rows of one chunk.

    Attributes:
        first: Position and checked values of each number's first row, by number.
        later: Position and number of further rows with the same number.
    """

    first: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    later: list[tuple[int, str]] = field(default_factory=list)
    invalid: list[RowResult] = field(default_factory=list)


class Importing(CsvUpload):
    """Imports contacts."""

    def handler(self) -> Handler:
        """Give the handler of its jobs."""
        return Handler(_ROWS_AT_ONCE, self._import)

    async def receive(
        self,
        data: AsyncIterable[bytes],
        user_id: UUID,
        *,
        dry_run: bool = False,
        group_id: UUID | None = None,
        region: str | None = None,
        columns: Mapping[str, int] | None = None,
    ) -> UUID:
        """Store a file's rows as those of a job, and give its id, for ``start`` or ``discard``.

        ``dry_run`` only checks the rows. ``columns`` is the index of each field's column; without
        it, the names in the first line decide.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``invalid_csv``, ``missing_column``,
                ``duplicate_column``, ``unknown_column``, ``unknown_region`` or ``unknown_group``.
            ConflictError: ``upload_canceled``.
        """
        params: dict[str, Any] = {
            "dry_run": dry_run,
            "region": check_region(region or self._default_region),
        }
        if dry_run:
            params["salt"] = secrets.token_hex(16)
        if group_id is not None:
            async with self._database.transaction() as tx:
                await require_group(tx, group_id)
            params["group_id"] = str(group_id)
        return await self._upload(
            JobKind.IMPORT_CONTACTS,
            data,
            user_id,
            params,
            lambda header: _columns(header, columns),
            missing=_missing("phone"),
        )

    async def start(
        self,
        job_id: UUID,
        user_id: UUID,
        *,
        within: Transaction | None = None,
        group_id: UUID | None = None,
        enroll_into: UUID | None = None,
    ) -> JobDetails:
        """Start the job of a complete file, and tell it what to do with the contacts.

        ``group_id``, or else the group named before, gets all of them. They are enrolled into
        ``enroll_into`` once the import is done, by a job of its own: the import's ``enrolling_id``.
        If that fails, the import's ``error`` says why.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``upload_canceled``, ``sequence_not_active``.
        """
        async with self._database.within(within) as tx:
            if group_id is not None:
                await jobs.note_params(tx, job_id, {"group_id": str(group_id)})
            if enroll_into is not None:
                await open_sequence(tx, enroll_into)
                await jobs.note_params(tx, job_id, {ENROLL_INTO: str(enroll_into)})
            return await super().start(job_id, user_id, within=tx)

    async def _import(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        dry_run = bool(job.params["dry_run"])
        group_id = UUID(job.params["group_id"]) if "group_id" in job.params else None
        if group_id is not None:
            await require_group(tx, group_id)
        found = await check(rows, job.params["region"])
        known = await contacts.by_phone(tx, list(found.first))
        new = [values for phone, (_, values) in found.first.items() if phone not in known]
        if dry_run:
            salt = str(job.params["salt"]).encode()
            created = {one["phone"]: _stand_in(one["phone"], salt) for one in new}
        else:
            # Numbers suppressed by erasure are locked before any contact.
            await recall(tx, [one["phone"] for one in new])
            created = await contact_import.insert(tx, new)
            fields = {created[one["phone"]]: given(one) for one in new if one["phone"] in created}
            await events.contacts_changed(tx, fields, ContactChange.CREATED)
            lost = [one["phone"] for one in new if one["phone"] not in created]
            known |= await contacts.by_phone(tx, lost)  # another transaction was faster
        subjects = {**{phone: one.id for phone, one in known.items()}, **created}
        before = await contact_import.named_before(tx, job.id, list(subjects.values()))
        if not dry_run:
            await self._follow_up(tx, job, created, subjects, group_id)
        results = found.invalid
        for phone, (position, values) in found.first.items():
            subject = subjects[phone]
            if subject in before:
                results.append(_repeated(position, subject, known.get(phone)))
            elif phone in known:
                code = "unchanged" if _is_so(known[phone], values) else "exists"
                results.append(RowResult(position, code, {"contact_id": str(subject)}, subject))
            else:
                detail = {} if dry_run else {"contact_id": str(subject)}
                results.append(RowResult(position, "created", detail, subject))
        results += [
            _repeated(position, subjects[phone], known.get(phone))
            for position, phone in found.later
        ]
        return results

    async def _follow_up(
        self,
        tx: Transaction,
        job: JobDetails,
        created: Mapping[str, UUID],
        subjects: Mapping[str, UUID],
        group_id: UUID | None,
    ) -> None:
        if created:
            await made_known(tx, created)
            await audit.record(tx, "contact.create", "contact", created.values())
        if group_id is not None:
            await groups.add_members(tx, group_id, list(subjects.values()), job.user_id)


async def check(rows: Many[OpenRow], region: str) -> CheckedRows:
    """Check rows by the rules for contacts, yielding to other requests now and then."""
    found = CheckedRows()
    for index, row in enumerate(rows):
        if index % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            values = _checked(row.detail, region)
        except InvalidRequestError as error:
            found.invalid.append(invalid(row.position, error.errors))
            continue
        if values["phone"] in found.first:
            found.later.append((row.position, values["phone"]))
        else:
            found.first[values["phone"]] = (row.position, values)
    return found


def headings(header: Many[str]) -> list[Heading]:
    """Guess the field of each column from its name; each field once, the first column wins."""
    guessed: set[str] = set()
    found: list[Heading] = []
    for text in header:
        name = _FIELD_OF.get(letters(text))
        if name in guessed:
            name = None
        if name is not None:
            guessed.add(name)
        found.append(Heading(trimmed(text), name))
    return found


def _columns(header: Many[str], given: Mapping[str, int] | None) -> Columns:
    at = by_name(header, _FIELD_OF) if given is None else _as_given(header, given)
    if "phone" not in at:
        raise _missing("phone")
    if not {"first_name", "last_name"} & at.keys():
        raise _missing("first_name")
    return Columns.of(header, at)


def _as_given(header: Many[str], given: Mapping[str, int]) -> dict[str, int]:
    for name, index in given.items():
        if name not in _FIELDS or not 0 <= index < len(header):
            raise InvalidFieldError(
                f"columns.{name}",
                f"must be one of {', '.join(_FIELDS)}, in a column the file has",
                code="unknown_column",
            )
    if len(set(given.values())) < len(given):
        raise InvalidFieldError(
            "columns", "give one column to two fields; choose another", code="duplicate_column"
        )
    return dict(given)


def _checked(given: Mapping[str, str], region: str) -> dict[str, Any]:
    """Clean a row's values; a blank ``time_zone`` or ``line_type`` counts as missing.

    Raises:
        InvalidRequestError: Fields are invalid.
    """
    if "wrong" in given:
        raise InvalidRequestError([unreadable(given["wrong"])])
    values: dict[str, Any] = {"phone": "", **given}
    for name in ("time_zone", "line_type"):
        values[name] = values.get(name, "").strip()
        if not values[name]:
            del values[name]
    if "line_type" in values:
        values["line_type"] = _LINE_TYPES.get(values["line_type"].lower())
    problems = Problems()
    with problems.collect():
        values = cleaned(cast("ContactFields", values), region)
    if "line_type" in values and values["line_type"] is None:
        problems.add(
            "line_type",
            f"is none of {', '.join(LineType)}; write one of them or leave it blank",
            code="unknown_line_type",
        )
    problems.raise_any()
    return values


def _is_so(contact: Known, values: Mapping[str, Any]) -> bool:
    """Whether a contact has all values of a row."""
    return all(getattr(contact, name) == one for name, one in values.items() if name != "phone")


def _repeated(position: int, subject: UUID, known: Known | None) -> RowResult:
    detail = {"contact_id": str(known.id)} if known is not None else {}
    return RowResult(position, "duplicate_in_file", detail, subject)


def _stand_in(phone: str, salt: bytes) -> UUID:
    """Give an id for a contact that a dry run does not make; the salt is deleted with its job."""
    return UUID(bytes=hashlib.blake2b(phone.encode(), key=salt, digest_size=16).digest())


def _missing(name: str) -> InvalidFieldError:
    return InvalidFieldError(
        "body",
        f"has no column {name}; name the columns in the first line: first_name, last_name, phone,"
        " and if you like time_zone and line_type",
        code="missing_column",
    )
