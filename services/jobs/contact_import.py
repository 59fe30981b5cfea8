"""Importing contacts from a CSV file."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterable, Mapping
from collections.abc import Sequence as Many
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from domain.contacts.fields import FieldSpec
from domain.platform.errors import InvalidFieldError, InvalidRequestError, Problems
from domain.platform.phones import check_region
from domain.statuses.contacts import LineType
from domain.statuses.jobs import JobKind
from services.contacts.groups import require_group
from services.contacts.merging import Merged, Merging, Outcome
from services.contacts.values import Known, cleaned, known
from services.enrollments.enrolling import open_sequence, shared_variables
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
from storage.access import users
from storage.contacts import fields as stored_fields
from storage.contacts import groups
from storage.jobs import contact_import, jobs
from storage.jobs.jobs import VARIABLES, JobDetails, OpenRow, RowResult
from storage.platform.database import Database, Transaction

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
    "external_id": ("externalid",),
    "owner": ("owner", "owneremail"),
}
_FIELD_OF = {heading: name for name, headings in _FIELDS.items() for heading in headings}
_LINE_TYPES = {one.value.lower(): one for one in LineType}
_OWN = "fields."
"""Begins the name of a column that is a field of the workspace, which its key ends."""

_KEPT_BLANK = frozenset({"phone", "first_name", "last_name"})

_RESULTS = {
    Outcome.CREATED: "created",
    Outcome.CHANGED: "changed",
    Outcome.UNCHANGED: "unchanged",
    Outcome.EXISTS: "exists",
}


class Heading(NamedTuple):
    """A column of a file; ``field`` is the field that its name suggests, if any."""

    text: str
    field: str | None


class CheckedRows(NamedTuple):
    """The rows of one chunk: the values of those that are valid by position, and the others."""

    valid: Mapping[int, Mapping[str, Any]]
    invalid: list[RowResult]


class Importing(CsvUpload):
    """Imports contacts, merging them into those that are known."""

    def __init__(self, database: Database, merging: Merging, *, default_region: str) -> None:
        super().__init__(database, default_region=default_region)
        self._merging = merging

    def handler(self) -> Handler:
        """Give the handler of its jobs."""
        return Handler(_ROWS_AT_ONCE, self._import)

    async def receive(
        self,
        data: AsyncIterable[bytes],
        user_id: UUID,
        *,
        dry_run: bool = False,
        update_existing: bool = False,
        group_id: UUID | None = None,
        region: str | None = None,
        columns: Mapping[str, int] | None = None,
    ) -> UUID:
        """Store a file's rows as those of a job, and give its id, for ``start`` or ``discard``.

        ``dry_run`` only checks the rows. ``update_existing`` changes contacts who are known, who
        otherwise keep their data. ``columns`` is the index of each field's column, ``fields.KEY``
        for the workspace's; without it, the names in the first line decide.

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
        if update_existing:
            params["update_existing"] = True
        async with self._database.transaction() as tx:
            if group_id is not None:
                await require_group(tx, group_id)
                params["group_id"] = str(group_id)
            own = await stored_fields.find(tx)
        return await self._upload(
            JobKind.IMPORT_CONTACTS,
            data,
            user_id,
            params,
            lambda header: _columns(header, columns, own),
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
        variables: Mapping[str, object] = MappingProxyType({}),
    ) -> JobDetails:
        """Start the job of a complete file, and tell it what to do with the contacts.

        ``group_id``, or else the group named before, gets all of them. They are enrolled into
        ``enroll_into`` once the import is done, by a job of its own: the import's ``enrolling_id``.
        If that fails, the import's ``error`` says why. ``variables`` are everybody's.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``upload_canceled``, ``sequence_not_active``.
            InvalidRequestError: See ``enrolling.shared_variables``.
        """
        async with self._database.within(within) as tx:
            if group_id is not None:
                await jobs.note_params(tx, job_id, {"group_id": str(group_id)})
            if enroll_into is not None:
                await open_sequence(tx, enroll_into)
                shared = await shared_variables(tx, enroll_into, variables)
                told = {ENROLL_INTO: str(enroll_into), **({VARIABLES: shared} if shared else {})}
                await jobs.note_params(tx, job_id, told)
            return await super().start(job_id, user_id, within=tx)

    async def _import(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        dry_run = bool(job.params["dry_run"])
        group_id = UUID(job.params["group_id"]) if "group_id" in job.params else None
        if group_id is not None:
            await require_group(tx, group_id)
        checked = await check(tx, rows, job.params["region"])
        merged = await self._merging.merge(
            tx,
            checked.valid,
            keep=not job.params.get("update_existing"),
            dry_run=dry_run,
            merged_before=lambda ids: contact_import.named_before(tx, job.id, ids),
        )
        subjects = _subjects(checked, merged, job.params)
        before = await contact_import.named_before(tx, job.id, list(subjects.values()))
        if group_id is not None and not dry_run:
            await groups.add_members(tx, group_id, list(set(subjects.values())), job.user_id)
        results = checked.invalid
        for position, one in merged.items():
            if one.outcome is Outcome.ERROR:
                results.append(invalid(position, [_of_column(error) for error in one.errors]))
                continue
            subject = subjects[position]
            code = "duplicate_in_file" if subject in before else _RESULTS.get(one.outcome)
            origin = one if one.first is None else merged[one.first]
            is_known = origin.contact_id and origin.outcome is not Outcome.CREATED
            told = is_known or (one.outcome is Outcome.CREATED and not dry_run)
            detail = {"contact_id": str(subject)} if told else {}
            results.append(RowResult(position, code or "duplicate_in_file", detail, subject))
        return results


def _of_column(error: InvalidFieldError) -> InvalidFieldError:
    """Name a wrong value as its column does: an owner is an email address in a file."""
    if error.field != "owner_id":
        return error
    return InvalidFieldError("owner", error.reason, code=error.field_code)


def _subjects(
    checked: CheckedRows, merged: Mapping[int, Merged], params: Mapping[str, Any]
) -> dict[int, UUID]:
    """Give each row's contact, a stand-in for one that a dry run does not create."""
    salt = str(params.get("salt", "")).encode()
    found: dict[int, UUID] = {}
    for position, one in merged.items():
        if one.contact_id is not None:
            found[position] = one.contact_id
        elif one.first is not None:
            found[position] = found[one.first]
        elif one.outcome is Outcome.CREATED:
            found[position] = _stand_in(checked.valid[position]["phone"], salt)
    return found


async def check(tx: Transaction, rows: Many[OpenRow], region: str) -> CheckedRows:
    """Check rows by the rules for contacts, yielding to other requests now and then.

    Values of fields that were deleted since the file was read are left out.
    """
    owners = {row.detail["owner"].strip() for row in rows if row.detail.get("owner")}
    owner_ids = await users.ids_by_email(tx, owners) if owners else {}
    own = any(name.startswith(_OWN) for row in rows for name in row.detail)
    against = await known(tx, region, with_fields=own)
    valid: dict[int, Mapping[str, Any]] = {}
    refused: list[RowResult] = []
    for index, row in enumerate(rows):
        if index % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            valid[row.position] = _checked(row.detail, against, owner_ids)
        except InvalidRequestError as error:
            refused.append(invalid(row.position, error.errors))
    return CheckedRows(valid, refused)


def columns_on_offer(own: Many[FieldSpec]) -> dict[str, str]:
    """Give what a column may be, by name: the label of a field of the workspace, else nothing."""
    return {**dict.fromkeys(_FIELDS, ""), **{f"{_OWN}{one.key}": one.label for one in own}}


def headings(header: Many[str], own: Many[FieldSpec]) -> list[Heading]:
    """Guess the field of each column from its name; each field once, the first column wins."""
    guessed: set[str] = set()
    found: list[Heading] = []
    for text in header:
        name = _field_named(text, own)
        if name in guessed:
            name = None
        if name is not None:
            guessed.add(name)
        found.append(Heading(trimmed(text), name))
    return found


def _field_named(heading: str, own: Many[FieldSpec]) -> str | None:
    """Find the field that a column's name suggests: its key, a name of ours, or its label."""
    for one in own:
        if heading.strip() == one.key:
            return f"{_OWN}{one.key}"
    if (name := _FIELD_OF.get(letters(heading))) is not None:
        return name
    called = _plain(heading)
    for one in own:
        if called and called in {_plain(one.key), _plain(one.label)}:
            return f"{_OWN}{one.key}"
    return None


def _plain(text: str) -> str:
    """Reduce a name to its letters and digits, in lower case."""
    return "".join(char for char in text.casefold() if char.isalnum())


def _columns(header: Many[str], given: Mapping[str, int] | None, own: Many[FieldSpec]) -> Columns:
    at = (
        by_name(header, lambda heading: _field_named(heading, own))
        if given is None
        else _as_given(header, given, own)
    )
    if "phone" not in at:
        raise _missing("phone")
    if not {"first_name", "last_name"} & at.keys():
        raise _missing("first_name")
    return Columns.of(header, at)


def _as_given(header: Many[str], given: Mapping[str, int], own: Many[FieldSpec]) -> dict[str, int]:
    names = columns_on_offer(own)
    for name, index in given.items():
        if name not in names or not 0 <= index < len(header):
            raise InvalidFieldError(
                f"columns.{name}",
                f"must be one of {', '.join(names)}, in a column the file has",
                code="unknown_column",
            )
    if len(set(given.values())) < len(given):
        raise InvalidFieldError(
            "columns", "give one column to two fields; choose another", code="duplicate_column"
        )
    return dict(given)


def _checked(
    given: Mapping[str, str], against: Known, owner_ids: Mapping[str, UUID]
) -> dict[str, Any]:
    """Clean a row's values; blank ones count as missing, except of names and the number.

    Raises:
        InvalidRequestError: Fields are invalid.
    """
    if "wrong" in given:
        raise InvalidRequestError([unreadable(given["wrong"])])
    values = _written(given, against)
    owner, line_type = values.pop("owner", None), values.pop("line_type", None)
    problems = Problems()
    with problems.collect():
        values = cleaned(values, against)
    if owner is not None:
        values["owner_id"] = owner_ids.get(owner)
        if values["owner_id"] is None:
            problems.add(
                "owner",
                "is no user's email address; write one of GET /api/users or leave it blank",
                code="unknown_user",
            )
    if line_type is not None:
        values["line_type"] = _LINE_TYPES.get(line_type.lower())
        if values["line_type"] is None:
            problems.add(
                "line_type",
                f"is none of {', '.join(LineType)}; write one of them or leave it blank",
                code="unknown_line_type",
            )
    problems.raise_any()
    return values


def _written(given: Mapping[str, str], against: Known) -> dict[str, Any]:
    """Sort out a row's values: those of fields into ``fields``, blank ones left out."""
    values: dict[str, Any] = {"phone": given.get("phone", "")}
    own: dict[str, str] = {}
    for name, text in given.items():
        if name in _KEPT_BLANK:
            values[name] = text
        elif text.strip() and name.startswith(_OWN):
            own[name.removeprefix(_OWN)] = text
        elif text.strip():
            values[name] = text.strip()
    values["fields"] = {key: text for key, text in own.items() if key in against.fields}
    return values


def _stand_in(phone: str, salt: bytes) -> UUID:
    """Give an id for a contact that a dry run does not make; the salt is deleted with its job."""
    return UUID(bytes=hashlib.blake2b(phone.encode(), key=salt, digest_size=16).digest())


def _missing(name: str) -> InvalidFieldError:
    return InvalidFieldError(
        "body",
        f"has no column {name}; name the columns in the first line: first_name, last_name, phone,"
        " and if you like time_zone, line_type, external_id, owner and fields by key or label",
        code="missing_column",
    )
