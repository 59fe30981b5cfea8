"""Importing a file step by step; nothing is imported before a person confirms it.

The file is stored, a person matches its columns, looks through what a check found, and corrects
rows.

The file is an upload whose rows hold all cells. A check is a job of its own with a copy of them, so
that it goes on in the background as the import will. Its results hold nothing personal: what a bad
row says is read from the upload, which is deleted a day after a person last did something with it.
"""

import secrets
from collections.abc import AsyncIterable, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from uuid import UUID

from domain.access.preferences import columns_of
from domain.contacts.fields import FieldSpec
from domain.platform import names
from domain.platform.errors import ConflictError, InvalidFieldError, NotFoundError
from domain.platform.phones import check_region
from domain.statuses.contacts import OtherName
from domain.statuses.jobs import JobKind, JobState
from services.contacts.groups import NAME_LENGTH as GROUP_NAME_LENGTH
from services.contacts.groups import named_groups, require_group
from services.jobs.csv_upload import (
    INVALID,
    Columns,
    CsvUpload,
    Heading,
    as_given,
    cell,
)
from services.jobs.jobs import start, stop
from services.suppression.suppressions import REASON_LENGTH
from storage.access import preferences
from storage.contacts import fields as stored_fields
from storage.jobs import import_review as rows
from storage.jobs import jobs
from storage.jobs.import_review import BadRow, NamedRow, WaitingFile
from storage.jobs.jobs import (
    CHECK_OF,
    IGNORED_COLUMNS,
    MATCHING,
    OTHER_NAME,
    OTHER_NAMES,
    JobDetails,
    OpenRow,
)
from storage.platform.database import Database, Transaction

SAMPLE_MOST = 3
"""Number of a file's rows whose values are shown beside the columns."""

WAITING_MOST = 5
"""Most files of a user that wait which are listed."""

_COLUMNS, _CHECK = "columns", "check_id"

_DECISIVE = ("region", "update_existing", OTHER_NAMES)
"""Parameters that decide, besides the columns, what a check finds."""


_Row = TypeVar("_Row", BadRow, NamedRow)


@dataclass(frozen=True)
class Choices:
    """What a person chose for a file; what does not belong to its kind is ignored.

    Attributes:
        region: ISO 3166-1 alpha-2 code of the country of numbers without a country code.
        update_existing: Change contacts who are known.
        other_names: What is done with rows whose number is that of a contact with another name,
            unless a person chose otherwise for a row.
        group_id: A group for everyone; ``new_group`` the name of one, created if there is none.
        reason: Of opt-outs whose rows give none.
    """

    region: str
    update_existing: bool = False
    other_names: OtherName = OtherName.SKIP
    group_id: UUID | None = None
    new_group: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FileInHand:
    """A file whose columns a person matches.

    Attributes:
        headings: Its columns in order; ``field`` is what each holds as far as known.
        samples: The values of each column in the first rows.
        offered: What a column may hold, by name: the label of a workspace's field, else nothing.
        encoding: Of its text; None for ASCII.
    """

    job: JobDetails
    headings: Many[Heading]
    samples: Many[Many[str]]
    offered: Mapping[str, str]
    encoding: str | None
    delimiter: str

    @property
    def check_id(self) -> UUID | None:
        """The job that checked it last, if any did."""
        known = self.job.params[MATCHING].get(_CHECK)
        return None if known is None else UUID(known)


class ImportReview:
    """Takes files step by step; ``uploads`` are the kinds of import."""

    def __init__(self, database: Database, uploads: Many[CsvUpload]) -> None:
        self._database = database
        self._uploads = {one.kind: one for one in uploads}

    async def receive(self, kind: JobKind, data: AsyncIterable[bytes], user_id: UUID) -> UUID:
        """Store a file, and give its id; see ``CsvUpload.receive_whole``."""
        return await self._uploads[kind].receive_whole(data, user_id)

    async def waiting(self, kind: JobKind, user_id: UUID) -> list[WaitingFile]:
        """List a user's files that wait to be imported, the newest first."""
        async with self._database.transaction() as tx:
            return await rows.waiting(tx, kind, user_id, WAITING_MOST)

    async def discard(self, job_id: UUID, user_id: UUID) -> None:
        """Delete a user's file.

        Raises:
            NotFoundError: As ``get``.
        """
        async with self._database.transaction() as tx:
            await _file(tx, job_id, user_id, lock=True)
            await jobs.discard_upload(tx, job_id)

    async def get(self, job_id: UUID, user_id: UUID) -> FileInHand:
        """Read a user's file: its columns as matched so far, as remembered, or as guessed.

        Raises:
            NotFoundError: There is no such file, it is another user's, or its import has begun.
        """
        async with self._database.transaction() as tx:
            job = await _file(tx, job_id, user_id)
            own = await stored_fields.find(tx)
            cells = await rows.sample(tx, job_id, SAMPLE_MOST)
            known = job.params[MATCHING]
            header: list[str] = known["header"]
            columns = known.get(_COLUMNS)
            if columns is None:
                remembered = await preferences.get(tx, user_id, columns_of(job.kind, header))
                columns = None if remembered is None else remembered[_COLUMNS]
        upload = self._uploads[job.kind]
        offered = upload.offered(own)
        encoding, delimiter = known["read_as"]
        return FileInHand(
            job,
            upload.guessed(header, own) if columns is None else _headings(header, columns, offered),
            [[row.get(str(at), "") for row in cells] for at in range(len(header))],
            offered,
            encoding,
            delimiter,
        )

    async def check(
        self, job_id: UUID, user_id: UUID, columns: Mapping[str, int], choices: Choices
    ) -> JobDetails:
        """Start a job that checks a file's rows and writes nothing, in place of the check before.

        Raises:
            NotFoundError: As ``get``.
            InvalidFieldError: A column is missing, or a choice is invalid.
        """
        async with self._database.transaction() as tx:
            job, at, params = await self._chosen(tx, job_id, user_id, columns, choices)
            params.pop("group_id", None)  # changes nothing in what a check finds
            before = job.params[MATCHING].get(_CHECK)
            if before is not None:
                await _replace_check(tx, UUID(before))
            params |= {
                "dry_run": True,
                "salt": secrets.token_hex(16),
                MATCHING: {_COLUMNS: at},
                CHECK_OF: str(job_id),
            }
            check_id = await jobs.create(tx, job.kind, user_id, params)
            await rows.copy_rows(tx, job_id, check_id)
            known = {**job.params[MATCHING], _COLUMNS: at, _CHECK: str(check_id)}
            await rows.note_matching(tx, job_id, known)
            return await start(tx, check_id, user_id)

    async def bad_rows(
        self, job_id: UUID, user_id: UUID, *, after: int = -1, limit: int = 20
    ) -> tuple[list[BadRow], bool]:
        """List the rows that the last check refused, with their values by field.

        The second value tells whether there are more.

        Raises:
            NotFoundError: As ``get``; or the file is not checked.
        """
        async with self._database.transaction() as tx:
            job = await _file(tx, job_id, user_id)
            check_id, at = _checked(job)
            found = await rows.bad_rows(tx, job_id, check_id, after=after, limit=limit + 1)
        return [_by_field(row, at) for row in found[:limit]], len(found) > limit

    async def named_rows(
        self, job_id: UUID, user_id: UUID, *, after: int = -1, limit: int = 20
    ) -> tuple[list[NamedRow], bool]:
        """List the rows whose number is that of a contact with another name, as ``bad_rows``.

        Raises:
            NotFoundError: As ``bad_rows``.
        """
        async with self._database.transaction() as tx:
            job = await _file(tx, job_id, user_id)
            check_id, at = _checked(job)
            found = await rows.named_rows(tx, job_id, check_id, after=after, limit=limit + 1)
        return [_by_field(row, at) for row in found[:limit]], len(found) > limit

    async def correct(
        self, job_id: UUID, user_id: UUID, line: int, values: Mapping[str, str]
    ) -> BadRow | NamedRow | None:
        """Change values of a row, by field, and check it again; None if it can be imported now.

        Raises:
            NotFoundError: As ``bad_rows``; or there is no such row.
            ConflictError: ``not_checked``: the check is not done yet.
        """
        async with self._database.transaction() as tx:
            job = await _file(tx, job_id, user_id)
            _, at = _checked(job)
            changed = {str(at[name]): cell(value) for name, value in values.items() if name in at}
            return await self._change(tx, job, line, changed)

    async def choose_name(
        self, job_id: UUID, user_id: UUID, line: int, choice: OtherName
    ) -> NamedRow | None:
        """Choose what is done with a row whose number has another name; None if it has not now.

        Raises:
            NotFoundError: As ``correct``.
            ConflictError: As ``correct``.
        """
        async with self._database.transaction() as tx:
            job = await _file(tx, job_id, user_id)
            row = await self._change(tx, job, line, {OTHER_NAME: choice.value})
            return row if isinstance(row, NamedRow) else None

    async def _change(
        self, tx: Transaction, job: JobDetails, line: int, changed: Mapping[str, str]
    ) -> BadRow | NamedRow | None:
        """Change what a row holds, and check it again, as ``correct``."""
        check_id, at = _checked(job)
        check = await jobs.get(tx, check_id)
        if check is None or not check.state.is_final:
            raise not_checked()
        before = await rows.lock_cells(tx, job.id, line)
        if before is None:
            raise NotFoundError("row", line)
        cells = {**before, **changed}
        await rows.write_cells(tx, job.id, line, cells)
        await rows.forget_subject(tx, check_id, line)
        # As in the check, but nobody may tell from the result what the number was.
        params = {**check.params, "salt": secrets.token_hex(16), MATCHING: {_COLUMNS: at}}
        handler = self._uploads[job.kind].handler()
        results = await handler.run(tx, replace(check, params=params), [OpenRow(line, None, cells)])
        await jobs.change_results(tx, check_id, results)
        detail = results[0].detail
        if results[0].code == INVALID:
            return _by_field(BadRow(line, cells, tuple(detail["errors"])), at)
        if OTHER_NAME in detail:
            found = await rows.named_rows(tx, job.id, check_id, after=line - 1, limit=1)
            return next((_by_field(one, at) for one in found), None)
        return None

    async def confirm(
        self,
        job_id: UUID,
        user_id: UUID,
        columns: Mapping[str, int],
        choices: Choices,
        *,
        check_id: UUID,
    ) -> JobDetails:
        """Start importing a file, and remember for this user what its columns hold.

        Raises:
            NotFoundError: As ``get``.
            InvalidFieldError: As ``check``.
            ConflictError: ``not_checked``: the check is not the file's last one, or not done yet.
        """
        async with self._database.transaction() as tx:
            job, at, params = await self._chosen(tx, job_id, user_id, columns, choices)
            header: list[str] = job.params[MATCHING]["header"]
            await _require_checked(tx, job, check_id, at, params)
            if choices.new_group.strip() and choices.group_id is not None:
                reason = "is chosen, and a new one is named as well; give one of the two"
                raise InvalidFieldError("group_id", reason)
            if choices.new_group.strip() and job.kind is JobKind.IMPORT_CONTACTS:
                name = names.clean(choices.new_group, field="new_group", most=GROUP_NAME_LENGTH)
                named = await named_groups(tx, [name])
                if name not in named:
                    reason = "was deleted at this moment; try again"
                    raise InvalidFieldError("new_group", reason, code="unknown_group")
                params["group_id"] = str(named[name])
            params |= {
                MATCHING: {**job.params[MATCHING], _COLUMNS: at},
                IGNORED_COLUMNS: Columns.of(header, at).ignored,
            }
            await jobs.note_params(tx, job_id, params)
            await preferences.put(tx, user_id, columns_of(job.kind, header), {_COLUMNS: at})
            return await self._uploads[job.kind].start(job_id, user_id, within=tx)

    async def _chosen(
        self,
        tx: Transaction,
        job_id: UUID,
        user_id: UUID,
        columns: Mapping[str, int],
        choices: Choices,
    ) -> tuple[JobDetails, dict[str, int], dict[str, Any]]:
        """Give a file, the columns that its fields are in, and a job's parameters for it.

        Raises:
            NotFoundError: As ``get``.
            InvalidFieldError: As ``check``.
        """
        job = await _file(tx, job_id, user_id, lock=True)
        upload = self._uploads[job.kind]
        own: Many[FieldSpec] = await stored_fields.find(tx)
        at = as_given(job.params[MATCHING]["header"], columns, upload.offered(own))
        missing = upload.missing(at)
        if missing is not None:
            raise missing
        params: dict[str, Any] = {"region": check_region(choices.region)}
        if job.kind is JobKind.IMPORT_SUPPRESSIONS:
            params["reason"] = names.clean(
                choices.reason, field="reason", most=REASON_LENGTH, blank=True
            )
        else:
            params[OTHER_NAMES] = choices.other_names.value
            if choices.update_existing:
                params["update_existing"] = True
        if choices.group_id is not None and job.kind is JobKind.IMPORT_CONTACTS:
            await require_group(tx, choices.group_id)
            params["group_id"] = str(choices.group_id)
        return job, at, params


async def _file(tx: Transaction, job_id: UUID, user_id: UUID, *, lock: bool = False) -> JobDetails:
    job = await jobs.get(tx, job_id, lock=lock)
    is_here = job is not None and job.state is JobState.RECEIVING and MATCHING in job.params
    if job is None or not is_here or job.user_id != user_id:
        raise NotFoundError("file", job_id)
    return job


def not_checked() -> ConflictError:
    """Build the error of a file whose check is missing, not done yet, or not the last one."""
    return ConflictError(
        "not_checked",
        "the file is not checked as it is now; wait until the check is done, look at what it found,"
        " and go on then",
    )


async def _replace_check(tx: Transaction, check_id: UUID) -> None:
    """End a check that another takes the place of, and delete it unless a chunk is under way."""
    check = await jobs.get(tx, check_id, lock=True)
    if check is not None and not check.state.is_final:
        await stop(tx, check_id)
    await rows.discard_check(tx, check_id)


async def _require_checked(
    tx: Transaction,
    job: JobDetails,
    check_id: UUID,
    columns: Mapping[str, int],
    params: Mapping[str, Any],
) -> None:
    """Require that the last check of a file is done, and was of what is chosen now.

    Raises:
        ConflictError: ``not_checked``.
    """
    known = job.params[MATCHING]
    check = await jobs.get(tx, check_id)
    is_last = known.get(_CHECK) == str(check_id)
    if check is None or not is_last or not check.state.is_final:
        raise not_checked()
    is_same = all(check.params.get(name) == params.get(name) for name in _DECISIVE)
    if known[_COLUMNS] != columns or not is_same:
        raise not_checked()


def _checked(job: JobDetails) -> tuple[UUID, Mapping[str, int]]:
    known = job.params[MATCHING]
    if _CHECK not in known:
        raise NotFoundError("check of the file", job.id)
    return UUID(known[_CHECK]), known[_COLUMNS]


def _headings(
    header: Many[str], columns: Mapping[str, int], offered: Mapping[str, str]
) -> list[Heading]:
    """Give the columns with what they hold, but for fields that were deleted meanwhile."""
    field_at = {at: name for name, at in columns.items() if name in offered}
    return [Heading(text, field_at.get(at)) for at, text in enumerate(header)]


def _by_field(row: _Row, columns: Mapping[str, int]) -> _Row:
    return row._replace(cells={name: row.cells.get(str(at), "") for name, at in columns.items()})
