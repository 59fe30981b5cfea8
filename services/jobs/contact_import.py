"""Importing contacts from a CSV file: kept while it arrives, checked and written afterwards."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from uuid import UUID

from domain.platform.errors import InvalidFieldError, InvalidRequestError
from domain.platform.phones import check_region
from domain.statuses.contacts import LineType
from domain.statuses.jobs import JobKind
from services.contacts.contacts import ContactFields, Contacts
from services.contacts.groups import require_group
from services.enrollments.enrolling import open_course
from services.jobs.csv_upload import (
    IGNORED_MOST,
    Columns,
    Uploads,
    by_name,
    invalid,
    letters,
    unreadable,
)
from services.jobs.jobs import ENROLL_INTO, Act, JobDetails, JobTask
from services.messaging.contact_hooks import CONTACT_HOOKS
from services.messaging.unknown_numbers import made_known
from services.platform import audit
from services.suppression.erasure import recall
from storage.contacts import contacts
from storage.contacts.contacts import Known
from storage.jobs import bulk_actions, contact_import, jobs
from storage.jobs.jobs import OpenRow, Outcome
from storage.platform.database import Database, Transaction

_ROWS_AT_ONCE = 1000
_CHECKED_AT_ONCE = 100
_COLUMN_LENGTH = 100

PHONE_HEADINGS = (
    *("phone", "phonenumber", "mobile", "mobilephone", "mobilenumber", "cell", "cellphone"),
    "telephone",
)
"""What a column of numbers is called, its letters alone."""

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
    """A column of a file; ``field`` is what it is taken for by its name, None for nothing."""

    text: str
    field: str | None


@dataclass
class CheckedRows:
    """Rows of one chunk: each number's first, the later ones, and what is wrong.

    Attributes:
        first: The position and the checked values of each number's first row.
        later: Position and number of the others.
        outcomes: Of the rows that cannot be taken.
    """

    first: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    later: list[tuple[int, str]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


class Importing:
    """The use case of importing contacts.

    Args:
        database: PostgreSQL.
        default_region: ISO 3166-1 alpha-2 code of the country that numbers without a country code
            belong to, if the import names none.
    """

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._uploads = Uploads(database)
        self._default_region = default_region

    def act(self) -> Act:
        """Give what a job does with its rows."""
        return Act(_ROWS_AT_ONCE, self._import)

    # While the file arrives

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
        """Keep the rows of a file as those of a job that is not started yet.

        Nothing is held open while bytes are waited for. If anything is wrong with the file as a
        whole, nothing of it is kept.

        Args:
            data: The file.
            user_id: Who imports.
            dry_run: Whether to check only.
            group_id: The group to put everyone of the file into.
            region: As ``default_region``, for this file.
            columns: Where each field is, from 0; None to go by the names in the first line.

        Returns:
            The job, for ``start`` or ``discard``.

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
        return await self._uploads.receive(
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
        group_id: UUID | None = None,
        enroll_into: UUID | None = None,
    ) -> JobDetails:
        """Have the work begin on a file that was received.

        Args:
            job_id: The upload.
            user_id: Who imports.
            group_id: A group that everyone in the file is put into; None for the one that was
                named before, if any.
            enroll_into: A sequence that everyone in the file is enrolled into as soon as the import
                is done, by a job of its own: the import's ``enrolling_id``. If that cannot be, the
                import's ``error`` says why.

        Raises:
            NotFoundError: There is no such sequence.
            ConflictError: ``upload_canceled``, ``sequence_not_active``.
        """

        async def aim(tx: Transaction) -> None:
            if group_id is not None:
                await jobs.note_params(tx, job_id, {"group_id": str(group_id)})
            if enroll_into is not None:
                await open_course(tx, enroll_into)
                await jobs.note_params(tx, job_id, {ENROLL_INTO: str(enroll_into)})

        return await self._uploads.start(job_id, user_id, first=aim)

    async def discard(self, job_id: UUID) -> None:
        """Forget a file that was received, if its work has not begun."""
        await self._uploads.discard(job_id)

    # In the background

    async def _import(self, tx: Transaction, task: JobTask, rows: Many[OpenRow]) -> list[Outcome]:
        dry_run = bool(task.params["dry_run"])
        group_id = UUID(task.params["group_id"]) if "group_id" in task.params else None
        if group_id is not None:
            await require_group(tx, group_id)
        found = await self.check(rows, task.params["region"])
        known = await contacts.by_phone(tx, list(found.first))
        new = [values for phone, (_, values) in found.first.items() if phone not in known]
        if dry_run:
            salt = str(task.params["salt"]).encode()
            created = {one["phone"]: _stand_in(one["phone"], salt) for one in new}
        else:
            # Those that are suppressed as erased take their numbers' locks, before any contact.
            await recall(tx, [one["phone"] for one in new])
            created = await contact_import.insert(tx, new)
            lost = [one["phone"] for one in new if one["phone"] not in created]
            known |= await contacts.by_phone(tx, lost)  # somebody else was faster
        subjects = {**{phone: one.id for phone, one in known.items()}, **created}
        before = await contact_import.named_before(tx, task.id, list(subjects.values()))
        if not dry_run:
            await self._follow_up(tx, task, created, subjects, group_id)
        outcomes = found.outcomes
        for phone, (position, values) in found.first.items():
            subject = subjects[phone]
            if subject in before:
                outcomes.append(_repeated(position, subject, known.get(phone)))
            elif phone in known:
                code = "unchanged" if _is_so(known[phone], values) else "exists"
                outcomes.append(Outcome(position, code, {"contact_id": str(subject)}, subject))
            else:
                detail = {} if dry_run else {"contact_id": str(subject)}
                outcomes.append(Outcome(position, "created", detail, subject))
        outcomes += [
            _repeated(position, subjects[phone], known.get(phone))
            for position, phone in found.later
        ]
        return outcomes

    async def _follow_up(
        self,
        tx: Transaction,
        task: JobTask,
        created: Mapping[str, UUID],
        subjects: Mapping[str, UUID],
        group_id: UUID | None,
    ) -> None:
        if created:
            await made_known(tx, created)
            await audit.record(tx, "contact.create", "contact", created.values())
        if group_id is not None:
            await bulk_actions.add_members(tx, group_id, list(subjects.values()), task.user_id)

    async def check(self, rows: Many[OpenRow], region: str) -> CheckedRows:
        """Check rows by the rules for contacts, a few at a time so that others get their turn."""
        rules = Contacts(
            self._database,
            CONTACT_HOOKS,
            default_region=region,
            workspace_zone="UTC",
        )
        found = CheckedRows()
        for index, row in enumerate(rows):
            if index % _CHECKED_AT_ONCE == 0:
                await asyncio.sleep(0)
            try:
                values = _checked(rules, row.detail)
            except InvalidRequestError as error:
                found.outcomes.append(invalid(row.position, error.errors))
                continue
            if values["phone"] in found.first:
                found.later.append((row.position, values["phone"]))
            else:
                found.first[values["phone"]] = (row.position, values)
        return found


def headings(header: Many[str]) -> list[Heading]:
    """Guess what the columns of a file are, each field once: the first column with its name."""
    guessed: set[str] = set()
    found: list[Heading] = []
    for text in header:
        name = _FIELD_OF.get(letters(text))
        if name in guessed:
            name = None
        if name is not None:
            guessed.add(name)
        found.append(Heading(text.replace("\0", "").strip()[:_COLUMN_LENGTH], name))
    return found


def _columns(header: Many[str], given: Mapping[str, int] | None) -> Columns:
    """Tell where the fields are: where it was said, else by the names in the first line."""
    at = by_name(header, _FIELD_OF) if given is None else _as_given(header, given)
    ignored = [one.text for index, one in enumerate(headings(header)) if index not in at.values()]
    if "phone" not in at:
        raise _missing("phone")
    if not {"first_name", "last_name"} & at.keys():
        raise _missing("first_name")
    return Columns(at, len(header), [text for text in ignored if text][:IGNORED_MOST])


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


def _checked(rules: Contacts, given: Mapping[str, str]) -> dict[str, Any]:
    """Clean a row's values; blank ones of the last two columns count as not given.

    Raises:
        InvalidRequestError: Fields cannot be taken.
    """
    if "wrong" in given:
        raise InvalidRequestError([unreadable(given["wrong"])])
    values: dict[str, Any] = {"phone": "", **given}
    for name in ("time_zone", "line_type"):
        values[name] = values.get(name, "").strip()
        if not values[name]:
            del values[name]
    unknown_type = None
    if "line_type" in values:
        values["line_type"] = _LINE_TYPES.get(values["line_type"].lower())
        if values["line_type"] is None:
            unknown_type = InvalidFieldError(
                "line_type",
                f"is none of {', '.join(LineType)}; write one of them or leave it blank",
                code="unknown_line_type",
            )
    try:
        cleaned = rules.checked(cast("ContactFields", values))
    except InvalidRequestError as error:
        raise InvalidRequestError(
            [*error.errors, *([unknown_type] if unknown_type else [])]
        ) from None
    if unknown_type is not None:
        raise InvalidRequestError([unknown_type])
    return cleaned


def _is_so(contact: Known, values: Mapping[str, Any]) -> bool:
    """Whether a contact is what the file says, as far as it says something."""
    return all(getattr(contact, name) == one for name, one in values.items() if name != "phone")


def _repeated(position: int, subject: UUID, known: Known | None) -> Outcome:
    detail = {"contact_id": str(known.id)} if known is not None else {}
    return Outcome(position, "duplicate_in_file", detail, subject)


def _stand_in(phone: str, salt: bytes) -> UUID:
    """Take the place of the contact that a dry run does not make; the salt goes with its job."""
    return UUID(bytes=hashlib.blake2b(phone.encode(), key=salt, digest_size=16).digest())


def _missing(name: str) -> InvalidFieldError:
    return InvalidFieldError(
        "body",
        f"has no column {name}; name the columns in the first line: first_name, last_name, phone,"
        " and if you like time_zone and line_type",
        code="missing_column",
    )
