"""CSV files whose rows become the rows of a job, stored while the file arrives.

Rows hold their values by field. Of a file whose columns a person matches first they hold all cells,
by the index of the column; the job then knows the columns, and its handler asks ``matched``.
"""

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from collections.abc import Sequence as Many
from typing import Any, ClassVar, NamedTuple, Self
from uuid import UUID

from domain.contacts.fields import URL_LENGTH, FieldSpec
from domain.jobs.csv_rows import PIECE, CsvReader, Record, unguarded
from domain.platform.errors import ConflictError, InvalidFieldError
from domain.statuses.jobs import JobKind, JobState
from services.jobs.jobs import Handler, start
from storage.jobs import jobs
from storage.jobs.jobs import IGNORED_COLUMNS, MATCHING, JobDetails, OpenRow, RowResult
from storage.platform.database import Database, Transaction

INVALID = "invalid"
"""The result of an invalid row."""

IGNORED_MOST = 100
"""Most left-out columns that are named."""

COLUMNS_MOST = 200
"""Most columns of a file that a person matches."""

_ROWS_AT_ONCE = 1000
_CELL_LENGTH = URL_LENGTH
_COLUMN_LENGTH = 100

_WRONG = {
    "column_count": "has more values than the first row has columns; put values that hold the"
    " separator into quotation marks",
    "invalid_text": "contains control characters; write plain text",
    "too_long": f"has a value of more than {_CELL_LENGTH} characters; shorten it",
}


class Heading(NamedTuple):
    """A column of a file; ``field`` is the field that its name suggests, if any."""

    text: str
    field: str | None


class Columns(NamedTuple):
    """The index of each field's column, the number of columns, and the names of the others.

    ``header`` are all names of a file whose rows are stored whole.
    """

    at: Mapping[str, int]
    width: int
    ignored: list[str]
    header: list[str] | None = None

    @classmethod
    def of(cls, header: Many[str], at: Mapping[str, int]) -> Self:
        """Describe a file by its first line and the columns that are read."""
        names = [trimmed(name) for index, name in enumerate(header) if index not in at.values()]
        return cls(at, len(header), [name for name in names if name][:IGNORED_MOST])

    @classmethod
    def whole(cls, header: Many[str]) -> Self:
        """Describe a file whose columns a person matches later.

        Raises:
            InvalidFieldError: ``too_many_columns``.
        """
        if len(header) > COLUMNS_MOST:
            raise InvalidFieldError(
                "body",
                f"has {len(header)} columns, more than {COLUMNS_MOST}; delete those you do not"
                " need",
                code="too_many_columns",
            )
        at = {str(index): index for index in range(len(header))}
        return cls(at, len(header), [], [trimmed(name) for name in header])


class CsvUpload(ABC):
    """Stores a file's rows as those of a job; the base of each kind of import.

    Numbers without a country code are of the region that the import names, or ``default_region``.
    """

    kind: ClassVar[JobKind]

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._default_region = default_region

    @abstractmethod
    def handler(self) -> Handler:
        """Give the handler of its jobs."""

    @abstractmethod
    def offered(self, own: Many[FieldSpec]) -> Mapping[str, str]:
        """Give what a column may hold, by name: the label of a workspace's field, else nothing."""

    @abstractmethod
    def guessed(self, header: Many[str], own: Many[FieldSpec]) -> list[Heading]:
        """Guess the field of each column from its name; each field once, the first column wins."""

    @abstractmethod
    def missing(self, columns: Mapping[str, int]) -> InvalidFieldError | None:
        """Build the error of a file that lacks a column it needs; None if it has them."""

    async def receive_whole(self, data: AsyncIterable[bytes], user_id: UUID) -> UUID:
        """Store a file whole, for a person to match its columns, and give the upload's id.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``not_csv``, ``invalid_csv``,
                ``too_many_columns``, or it is empty.
            ConflictError: ``upload_canceled``.
        """
        params = {"dry_run": False, "region": self._default_region}
        empty = InvalidFieldError(
            "body", "is empty; choose one with a first row that names its columns"
        )
        return await self._upload(data, user_id, params, Columns.whole, missing=empty)

    async def _upload(
        self,
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
            InvalidFieldError: ``invalid_encoding``, ``not_csv``, ``invalid_csv``, or from
                ``find_columns``.
            ConflictError: ``upload_canceled``.
        """
        async with self._database.transaction() as tx:
            job_id = await jobs.create(tx, self.kind, user_id, params, state=JobState.RECEIVING)
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
        noted: dict[str, Any] = {IGNORED_COLUMNS: columns.ignored}
        if columns.header is not None:
            noted[MATCHING] = {
                "header": columns.header,
                "read_as": [reader.encoding, reader.delimiter],
            }
        async with self._database.transaction() as tx:
            await jobs.note_params(tx, job_id, noted)

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


def as_given(
    header: Many[str], given: Mapping[str, int | str], offered: Mapping[str, str]
) -> dict[str, int]:
    """Check the columns that someone matched, each by its index or its name.

    Raises:
        InvalidFieldError: ``unknown_column`` or ``duplicate_column``.
    """
    called = [trimmed(text) for text in header]
    at: dict[str, int] = {}
    for name, column in given.items():
        if isinstance(column, str):
            is_there = trimmed(column) in called
            index = called.index(trimmed(column)) if is_there else -1
        else:
            index = column
        if name not in offered or not 0 <= index < len(header):
            raise InvalidFieldError(
                f"columns.{name[:_COLUMN_LENGTH]}",
                f"must be one of {', '.join(offered)}, in a column the file has",
                code="unknown_column",
            )
        at[name] = index
    if len(set(at.values())) < len(at):
        raise InvalidFieldError(
            "columns", "give one column to two fields; choose another", code="duplicate_column"
        )
    return at


async def first_records(data: AsyncIterable[bytes]) -> tuple[list[Record], AsyncIterator[bytes]]:
    """Read the first records of a file, and give the whole file again.

    Raises:
        InvalidFieldError: ``invalid_encoding`` or ``invalid_csv``.
    """
    pieces = aiter(data)
    start, is_whole = bytearray(), False
    while len(start) < PIECE and not is_whole:
        try:
            start += await anext(pieces)
        except StopAsyncIteration:
            is_whole = True
    reader = CsvReader()
    records = reader.feed(bytes(start))
    if is_whole:
        records = [*records, *reader.finish()]
    return records, _joined(bytes(start), pieces)


async def _joined(start: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield start
    async for piece in rest:
        yield piece


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


def matched(rows: Many[OpenRow], job: JobDetails) -> Many[OpenRow]:
    """Give rows with their values by field, whether they hold these or all cells."""
    columns: Mapping[str, int] | None = job.params.get(MATCHING, {}).get("columns")
    if columns is None:
        return rows
    return [row._replace(detail=_by_field(row.detail, columns)) for row in rows]


def cell(value: str) -> str:
    """Write a cell of a file that is stored whole, so that what is wrong with it still shows."""
    # JSON in PostgreSQL cannot hold NUL. Another control character is refused in each field, too.
    return value.replace("\0", "\x01")[: _CELL_LENGTH + 1]


def _by_field(cells: Mapping[str, str], columns: Mapping[str, int]) -> Mapping[str, str]:
    if "wrong" in cells:
        return cells
    values = {name: cells.get(str(at), "") for name, at in columns.items()}
    return {"wrong": "too_long"} if _is_too_long(values) else values


def _is_too_long(values: Mapping[str, str]) -> bool:
    return any(len(value) > _CELL_LENGTH for value in values.values())


def _values(record: Record, columns: Columns) -> Mapping[str, Any]:
    """Read a record's values by field, or the code of why it cannot be read."""
    cells = record.cells
    values = {name: unguarded(cells[at]) for name, at in columns.at.items() if at < len(cells)}
    has_surplus = any(value.strip() for value in cells[columns.width :])
    if columns.header is not None:
        kept = {name: cell(value) for name, value in values.items() if value}
        return {**kept, "wrong": "column_count"} if has_surplus else kept
    if has_surplus:
        return {"wrong": "column_count"}
    if any("\0" in value for value in values.values()):
        return {"wrong": "invalid_text"}
    if _is_too_long(values):
        return {"wrong": "too_long"}
    return values


def _upload_canceled() -> ConflictError:
    return ConflictError(
        "upload_canceled", "the import was canceled or took too long to arrive; send it again"
    )
