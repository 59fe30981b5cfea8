"""Importing contacts from a CSV file."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterable, Mapping
from collections.abc import Sequence as Many
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from domain.contacts import consents
from domain.contacts.consents import Agreed, moment_of
from domain.contacts.fields import FieldSpec
from domain.contacts.fields import checked as checked_value
from domain.contacts.names import split_name
from domain.platform import names
from domain.platform.errors import InvalidFieldError, InvalidRequestError, Problems
from domain.platform.phones import check_region
from domain.statuses.contacts import FieldType, LineType, OtherName
from domain.statuses.jobs import JobKind
from services.contacts.consents import Consents
from services.contacts.groups import NAME_LENGTH as GROUP_NAME_LENGTH
from services.contacts.groups import named_groups, require_group
from services.contacts.merging import Merged, Merging, Outcome
from services.contacts.values import Known, cleaned, known
from services.enrollments.enrolling import open_sequence, shared_variables
from services.jobs.csv_upload import (
    Columns,
    CsvUpload,
    Heading,
    as_given,
    by_name,
    invalid,
    letters,
    matched,
    trimmed,
    unreadable,
)
from services.jobs.jobs import ENROLL_INTO, Handler
from storage.access import users
from storage.contacts import fields as stored_fields
from storage.contacts import groups
from storage.contacts.consents import NewConsent
from storage.jobs import contact_import, jobs
from storage.jobs.jobs import (
    OTHER_NAME,
    OTHER_NAMES,
    VARIABLES,
    JobDetails,
    OpenRow,
    RowResult,
)
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
    "country": ("country", "countrycode"),
    "state": ("state", "province", "stateprovince", "statecode"),
    "postal_code": ("postalcode", "zip", "zipcode", "postcode"),
    "line_type": ("linetype",),
    "external_id": ("externalid",),
    "owner": ("owner", "owneremail"),
    "consent_source": ("consentsource",),
    "consent_at": ("consentat", "consentdate"),
    "consent_wording": ("consentwording",),
    "consent_written": ("consentwritten",),
}
_FIELD_OF = {heading: name for name, headings in _FIELDS.items() for heading in headings}
_GUESSES = {
    **dict.fromkeys(("fullname", "name", "contactname", "displayname", "candidate"), "full_name"),
    **dict.fromkeys(("groups", "group", "groupname"), "groups"),
    **dict.fromkeys(("phoneno", "mobileno", "cellno", "cellnumber", "tel", "number"), "phone"),
    "fname": "first_name",
    "lname": "last_name",
    "recruiter": "owner",
    **_FIELD_OF,
}
"""What names of columns suggest to a person, who sees it before it counts."""
_OFFERED = (
    *("phone", "full_name", "first_name", "last_name", "groups", "owner", "time_zone"),
    *("country", "state", "postal_code", "line_type", "external_id"),
    *("consent_source", "consent_at", "consent_wording", "consent_written"),
)
_LINE_TYPES = {one.value.lower(): one for one in LineType}
_CONSENT = "consent_"
"""Begins the names of the columns that say what a row's person has agreed to."""

_OWN = "fields."
"""Begins the name of a column that is a field of the workspace, which its key ends."""

_KEPT_BLANK = frozenset({"phone", "first_name", "last_name"})
_NAMES = ("first_name", "last_name")
_GROUPS_MOST = 20
"""Most groups in a cell; semicolons separate them, as a name may hold a comma."""

_SAME_WORDS = {"mail": "email", "emailaddress": "email", "mailaddress": "email", "emailid": "email"}

_RESULTS = {
    Outcome.CREATED: "created",
    Outcome.CHANGED: "changed",
    Outcome.UNCHANGED: "unchanged",
    Outcome.EXISTS: "exists",
    Outcome.OTHER_NAME: "other_name",
}


class CheckedRows(NamedTuple):
    """The rows of one chunk by position: the values of those that are valid, the others' errors.

    ``groups`` are the names of the groups that valid rows ask for, and ``consents`` what their
    people have agreed to, by position.
    """

    valid: Mapping[int, Mapping[str, Any]]
    invalid: Mapping[int, tuple[InvalidFieldError, ...]]
    groups: Mapping[int, Many[str]]
    consents: Mapping[int, Agreed]


class Importing(CsvUpload):
    """Imports contacts, merging them into those that are known."""

    kind: ClassVar[JobKind] = JobKind.IMPORT_CONTACTS

    def __init__(
        self, database: Database, merging: Merging, consents: Consents, *, default_region: str
    ) -> None:
        super().__init__(database, default_region=default_region)
        self._merging = merging
        self._consents = consents

    def handler(self) -> Handler:
        """Give the handler of its jobs."""
        return Handler(_ROWS_AT_ONCE, self._import)

    def offered(self, own: Many[FieldSpec]) -> Mapping[str, str]:
        """See ``CsvUpload``."""
        return columns_on_offer(own)

    def guessed(self, header: Many[str], own: Many[FieldSpec]) -> list[Heading]:
        """See ``CsvUpload``."""
        return headings(header, own)

    def missing(self, columns: Mapping[str, int]) -> InvalidFieldError | None:
        """See ``CsvUpload``."""
        return next((_missing(name) for name in lacking(columns)), None)

    async def receive(
        self,
        data: AsyncIterable[bytes],
        user_id: UUID,
        *,
        dry_run: bool = False,
        update_existing: bool = False,
        group_id: UUID | None = None,
        region: str | None = None,
        columns: Mapping[str, int | str] | None = None,
    ) -> UUID:
        """Store a file's rows as those of a job, and give its id, for ``start`` or ``discard``.

        ``dry_run`` only checks the rows. ``update_existing`` changes contacts who are known, who
        otherwise keep their data. ``columns`` is the index, or the name, of each field's column,
        ``fields.KEY`` for the workspace's; without it, the names in the first line decide.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``not_csv``, ``invalid_csv``,
                ``missing_column``, ``duplicate_column``, ``unknown_column``, ``unknown_region`` or
                ``unknown_group``.
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
        checked = await check(tx, matched(rows, job), job.params["region"])
        named = {} if dry_run else await _groups_of(tx, checked)
        merged = await self._merging.merge(
            tx,
            checked.valid,
            keep=not job.params.get("update_existing"),
            other_names=_other_names(rows, job.params),
            dry_run=dry_run,
            merged_before=lambda ids: contact_import.named_before(tx, job.id, ids),
        )
        subjects = _subjects(checked, merged, job.params)
        before = await contact_import.named_before(tx, job.id, list(subjects.values()))
        if group_id is not None and not dry_run:
            await groups.add_members(tx, group_id, list(set(subjects.values())), job.user_id)
        for one_id, positions in named.items():
            members = {subjects[position] for position in positions if position in subjects}
            await groups.add_members(tx, one_id, list(members), job.user_id)
        if not dry_run:
            await self._consents.keep(tx, _agreed(checked, merged, job.user_id))
        results = [invalid(position, errors) for position, errors in checked.invalid.items()]
        for position, one in merged.items():
            if one.outcome is Outcome.ERROR:
                results.append(invalid(position, [_of_column(error) for error in one.errors]))
                continue
            subject = subjects.get(position)
            code = "duplicate_in_file" if subject in before else _RESULTS.get(one.outcome)
            origin = one if one.first is None else merged[one.first]
            is_known = origin.contact_id and origin.outcome is not Outcome.CREATED
            told = is_known or (one.outcome is Outcome.CREATED and not dry_run)
            detail = {"contact_id": str(origin.contact_id)} if told else {}
            if one.other_name is not None:
                detail[OTHER_NAME] = one.other_name.value
            results.append(RowResult(position, code or "duplicate_in_file", detail, subject))
        return results


def _other_names(rows: Many[OpenRow], params: Mapping[str, Any]) -> dict[int, OtherName]:
    """Tell what a person chose for each row whose number has another name, or else for all."""
    if OTHER_NAMES not in params:
        return {}
    return {
        row.position: OtherName(row.detail.get(OTHER_NAME, params[OTHER_NAMES])) for row in rows
    }


def _of_column(error: InvalidFieldError) -> InvalidFieldError:
    """Name a wrong value as its column does: an owner is an email address in a file."""
    if error.field != "owner_id":
        return error
    return InvalidFieldError("owner", error.reason, code=error.field_code)


async def _groups_of(tx: Transaction, checked: CheckedRows) -> dict[UUID, list[int]]:
    """Find or create the groups that rows ask for; give the positions of each one's rows."""
    ids = await named_groups(tx, {name for some in checked.groups.values() for name in some})
    found: dict[UUID, list[int]] = {}
    for position, some in checked.groups.items():
        for name in some:
            if name in ids:
                found.setdefault(ids[name], []).append(position)
    return dict(sorted(found.items()))


def _agreed(checked: CheckedRows, merged: Mapping[int, Merged], user_id: UUID) -> list[NewConsent]:
    """Give the consents of rows that are about somebody, each for the number that its row has."""
    skipped = (Outcome.ERROR, Outcome.OTHER_NAME, Outcome.DUPLICATE)
    return [
        NewConsent(**vars(one), phone=checked.valid[position]["phone"], user_id=user_id)
        for position, one in checked.consents.items()
        if merged[position].outcome not in skipped
    ]


def _subjects(
    checked: CheckedRows, merged: Mapping[int, Merged], params: Mapping[str, Any]
) -> dict[int, UUID]:
    """Give each row's contact, a stand-in for one that a dry run does not create.

    A row that is skipped is about nobody.
    """
    salt = str(params.get("salt", "")).encode()
    found: dict[int, UUID] = {}
    for position, one in merged.items():
        if one.outcome is Outcome.OTHER_NAME:
            continue
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
    refused: dict[int, tuple[InvalidFieldError, ...]] = {}
    asked: dict[int, Many[str]] = {}
    agreed: dict[int, Agreed] = {}
    now = datetime.now(UTC)
    for index, row in enumerate(rows):
        if index % _CHECKED_AT_ONCE == 0:
            await asyncio.sleep(0)
        try:
            values = _checked(row.detail, against, owner_ids, now)
        except InvalidRequestError as error:
            refused[row.position] = error.errors
            continue
        if some := values.pop("groups", None):
            asked[row.position] = some
        if (said := values.pop("consent", None)) is not None:
            agreed[row.position] = said
        valid[row.position] = values
    return CheckedRows(valid, refused, asked, agreed)


def own_column(key: str) -> str:
    """Name the column that is a field of the workspace."""
    return f"{_OWN}{key}"


def columns_on_offer(own: Many[FieldSpec]) -> dict[str, str]:
    """Give what a column may be, by name: the label of a field of the workspace, else nothing."""
    return {**dict.fromkeys(_OFFERED, ""), **{own_column(one.key): one.label for one in own}}


def headings(header: Many[str], own: Many[FieldSpec]) -> list[Heading]:
    """Guess the field of each column from its name; each field once, the first column wins."""
    named = [_field_named(text, own, _GUESSES) for text in header]
    if "first_name" in named and "last_name" not in named:
        named = ["last_name" if name == "full_name" else name for name in named]
    elif "last_name" in named:
        named = [None if name == "full_name" else name for name in named]
    guessed: set[str] = set()
    found: list[Heading] = []
    for text, name in zip(header, named, strict=True):
        is_first = name is not None and name not in guessed
        found.append(Heading(trimmed(text), name if is_first else None))
        guessed |= {name} if name is not None else set()
    return found


def lacking(columns: Mapping[str, int]) -> tuple[str, ...]:
    """List the required fields without a column; any kind of name is enough."""
    is_named = {"first_name", "last_name", "full_name"} & columns.keys()
    return (*(() if "phone" in columns else ("phone",)), *(() if is_named else ("first_name",)))


def _field_named(
    heading: str, own: Many[FieldSpec], ours: Mapping[str, str] = _FIELD_OF
) -> str | None:
    """Find the field that a column's name suggests: its key, a name of ours, or its label."""
    for one in own:
        if heading.strip() == one.key:
            return own_column(one.key)
    if (name := ours.get(letters(heading))) is not None:
        return name
    called = _plain(heading)
    for one in own:
        if called and called in {_plain(one.key), _plain(one.label)}:
            return own_column(one.key)
    return None


def _plain(text: str) -> str:
    """Reduce a name to its letters and digits, in lower case; ways to write "email" are one."""
    plain = "".join(char for char in text.casefold() if char.isalnum())
    return _SAME_WORDS.get(plain, plain)


def _columns(
    header: Many[str], given: Mapping[str, int | str] | None, own: Many[FieldSpec]
) -> Columns:
    at = (
        _by_default(header, own)
        if given is None
        else as_given(header, given, columns_on_offer(own))
    )
    for name in lacking(at):
        raise _missing(name)
    return Columns.of(header, at)


def _by_default(header: Many[str], own: Many[FieldSpec]) -> dict[str, int]:
    """Find the columns of a file that a program sends; a whole name if there is no other."""
    at = by_name(header, lambda heading: _field_named(heading, own))
    if not at.keys() & set(_NAMES):
        whole = [_field_named(heading, own, _GUESSES) for heading in header]
        at |= {"full_name": whole.index("full_name")} if "full_name" in whole else {}
    return at


def _checked(
    given: Mapping[str, str], against: Known, owner_ids: Mapping[str, UUID], now: datetime
) -> dict[str, Any]:
    """Clean a row's values; blank ones count as missing, except of names and the number.

    Raises:
        InvalidRequestError: Fields are invalid.
    """
    if "wrong" in given:
        raise InvalidRequestError([unreadable(given["wrong"])])
    values = _written(given, against)
    owner, line_type = values.pop("owner", None), values.pop("line_type", None)
    written_groups = values.pop("groups", None)
    consent = {
        name.removeprefix(_CONSENT): values.pop(name)
        for name in list(values)
        if name.startswith(_CONSENT)
    }
    problems = Problems()
    with problems.collect():
        values = cleaned(values, against)
    if owner is not None:
        values["owner_id"] = owner_ids.get(owner)
        if values["owner_id"] is None:
            problems.add(
                "owner",
                "is not the email address of a user; use one from GET /api/users or leave it blank",
                code="unknown_user",
            )
    if line_type is not None:
        values["line_type"] = _LINE_TYPES.get(line_type.lower())
        if values["line_type"] is None:
            problems.add(
                "line_type",
                f"is not one of {', '.join(LineType)}; use one of them or leave it blank",
                code="unknown_line_type",
            )
    if written_groups is not None:
        values["groups"] = problems.of(lambda: _group_names(written_groups))
    if consent:
        values["consent"] = problems.of(lambda: _consent(consent, now))
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
    whole = values.pop("full_name", "")
    if whole and not any(values.get(name, "").strip() for name in _NAMES):
        values["first_name"], values["last_name"] = split_name(whole)
    return values


def _group_names(written: str) -> list[str]:
    """Read the groups of a cell.

    Raises:
        InvalidFieldError: A name is invalid, or they are too many.
    """
    found = [part for part in written.split(";") if part.strip()]
    if len(found) > _GROUPS_MOST:
        raise InvalidFieldError(
            "groups", f"are more than {_GROUPS_MOST}; name fewer", code="too_many_groups"
        )
    return [names.clean(name, field="groups", most=GROUP_NAME_LENGTH) for name in found]


def _consent(given: Mapping[str, str], now: datetime) -> Agreed:
    """Read what a row says of a consent.

    Raises:
        InvalidRequestError: All that is wrong, by the names of the columns.
    """
    problems = Problems()
    for name in ("source", "at"):
        if name not in given:
            reason = "is blank; a consent takes its source and its date"
            problems.add(f"{_CONSENT}{name}", reason, code="missing")
    problems.raise_any()
    at = problems.of(lambda: moment_of(given["at"], now, field=f"{_CONSENT}at"))
    told = given.get("written")
    written = problems.of(
        lambda: checked_value(FieldType.BOOLEAN, told, field=f"{_CONSENT}written")
    )
    try:
        agreed = consents.checked(
            given["source"], at or now, wording=given.get("wording"), written=bool(written), now=now
        )
    except InvalidRequestError as error:
        for one in error.errors:
            name = one.field.removeprefix("given_")
            problems.add(f"{_CONSENT}{name}", one.reason, code=one.field_code)
    problems.raise_any()
    return agreed


def _stand_in(phone: str, salt: bytes) -> UUID:
    """Give an id for a contact that a dry run does not make; the salt is deleted with its job."""
    return UUID(bytes=hashlib.blake2b(phone.encode(), key=salt, digest_size=16).digest())


def _missing(name: str) -> InvalidFieldError:
    return InvalidFieldError(
        "body",
        f"has no column {name}; name the columns in the first row: phone, first_name, last_name or"
        " full_name, and optionally time_zone, country, state, postal_code, line_type, external_id,"
        " owner, consent_source, consent_at, consent_wording, consent_written and fields by key or"
        " label",
        code="missing_column",
    )
