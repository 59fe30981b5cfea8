"""CSV files whose rows become the rows of a job, stored while the file arrives."""

import asyncio
import re
from collections.abc import AsyncIterable, Callable, Mapping
from collections.abc import Sequence as Many
from typing import Any, NamedTuple, Self
from uuid import UUID

from domain.contacts.fields import URL_LENGTH
from domain.jobs.csv_rows import CsvReader, Record, unguarded
from domain.platform.errors import ConflictError, InvalidFieldError
from domain.statuses.jobs import JobKind, JobState
from services.jobs.jobs import start
from storage.jobs import jobs
from storage.jobs.jobs import IGNORED_COLUMNS, JobDetails, RowResult
from storage.platform.database import Database, Transaction

INVALID = "invalid"
"""The result of an invalid row."""

IGNORED_MOST = 100
"""Most left-out columns that are named."""

_ROWS_AT_ONCE = 1000
_CELL_LENGTH = URL_LENGTH
_COLUMN_LENGTH = 100

_WRONG = {
    "column_count": "has more values than the first line has columns; quote values with commas",
    "invalid_text": "contains control characters; write plain text",
    "too_long": f"has a value of more than {_CELL_LENGTH} characters; shorten it",
}


class Columns(NamedTuple):
    """The index of each field's column, the number of columns, and the names of the others."""

    at: Mapping[str, int]
    width: int
    ignored: list[str]

    @classmethod
    def of(cls, header: Many[str], at: Mapping[str, int]) -> Self:
        """Describe a file by its first line and the columns that are read."""
        names = [trimmed(name) for index, name in enumerate(header) if index not in at.values()]
        return cls(at, len(header), [name for name in names if name][:IGNORED_MOST])


class CsvUpload:
    """Stores a file's rows as those of a job; the base of each kind of import.

    Numbers without a country code are of the region that the import names, or ``default_region``.
    """

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._default_region = default_region

    async def _upload(
        self,
        kind: JobKind,
        data: AsyncIterable[bytes],
        user_id: UUID,
        params: Mapping[str, Any],
        find_columns: Callable[[Many[str]], Columns],
        *,
        missing: InvalidFieldError,
    ) -> UUID:
        """Store a file's rows as those of a job that is not started yet, and give its id.

        No transaction is open while bytes are awaited. If the file as a whole is invalid, nothing
        of it is kept. ``missing`` is the error of an empty file.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``invalid_csv``, or from ``find_columns``.
            ConflictError: ``upload_canceled``.
        """
        async with self._database.transaction() as tx:
            job_id = await jobs.create(tx, kind, user_id, params, state=JobState.RECEIVING)
        try:
            await self._receive(job_id, data, find_columns, missing)
        except BaseException:
            await asyncio.shield(self.discard(job_id))
            raise
        return job_id

    async def _receive(
        self,
        job_id: UUID,
        data: AsyncIterable[bytes],
        find_columns: Callable[[Many[str]], Columns],
        missing: InvalidFieldError,
    ) -> None:
        reader = CsvReader()
        columns: Columns | None = None
        kept: list[tuple[int, Mapping[str, Any]]] = []

        async def keep(records: Many[Record]) -> None:
            nonlocal columns, kept
            for record in records:
                if columns is None:
                    columns = find_columns(record.cells)
                else:
                    kept.append((record.line, _values(record, columns)))
            while len(kept) >= _ROWS_AT_ONCE:
                await self._keep(job_id, kept[:_ROWS_AT_ONCE])
                kept = kept[_ROWS_AT_ONCE:]

        async for piece in data:
            await keep(reader.feed(piece))
        await keep(reader.finish())
        if columns is None:
            raise missing
        await self._keep(job_id, kept)
        async with self._database.transaction() as tx:
            await jobs.note_params(tx, job_id, {IGNORED_COLUMNS: columns.ignored})

    async def _keep(self, job_id: UUID, rows: Many[tuple[int, Mapping[str, Any]]]) -> None:
        async with self._database.transaction() as tx:
            if not await jobs.receive(tx, job_id, rows):
                raise _upload_canceled()

    async def start(
        self, job_id: UUID, user_id: UUID, *, within: Transaction | None = None
    ) -> JobDetails:
        """Start the job of a complete file.

        Raises:
            ConflictError: ``upload_canceled``.
        """
        async with self._database.within(within) as tx:
            if not await jobs.received(tx, job_id):
                raise _upload_canceled()
            return await start(tx, job_id, user_id)

    async def discard(self, job_id: UUID) -> None:
        """Delete an upload whose job was not started."""
        async with self._database.transaction() as tx:
            await jobs.discard_upload(tx, job_id)


def by_name(header: Many[str], field_of: Callable[[str], str | None]) -> dict[str, int]:
    """Find the fields by the names in the first line; ``field_of`` tells what a name stands for.

    Raises:
        InvalidFieldError: ``duplicate_column``.
    """
    at: dict[str, int] = {}
    for index, heading in enumerate(header):
        name = field_of(heading)
        if name in at:
            raise InvalidFieldError(
                "body",
                f"has more than one column for {name}; leave one out",
                code="duplicate_column",
            )
        if name is not None:
            at[name] = index
    return at


def trimmed(heading: str) -> str:
    """Give a column's name as it is shown and stored."""
    return heading.replace("\0", "").strip()[:_COLUMN_LENGTH]


def letters(heading: str) -> str:
    """Reduce a column's name to its letters, in lower case."""
    return re.sub(r"[^a-z]", "", heading.lower())


def unreadable(code: str) -> InvalidFieldError:
    """Build the error of a row whose ``wrong`` has this code."""
    return InvalidFieldError("row", _WRONG[code], code=code)


def invalid(position: int, errors: Many[InvalidFieldError]) -> RowResult:
    """Build the result of an invalid row: its wrong fields, without their values."""
    named = [{"field": one.field, "code": one.field_code, "reason": one.reason} for one in errors]
    return RowResult(position, INVALID, {"errors": named})


def _values(record: Record, columns: Columns) -> Mapping[str, Any]:
    """Read a record's values by field, or the code of why it cannot be read."""
    cells = record.cells
    if any(cell.strip() for cell in cells[columns.width :]):
        return {"wrong": "column_count"}
    values = {name: unguarded(cells[at]) for name, at in columns.at.items() if at < len(cells)}
    if any("\0" in value for value in values.values()):
        return {"wrong": "invalid_text"}
    if any(len(value) > _CELL_LENGTH for value in values.values()):
        return {"wrong": "too_long"}
    return values


def _upload_canceled() -> ConflictError:
    return ConflictError(
        "upload_canceled", "the import was canceled or took too long to arrive; send it again"
    )
