"""CSV files whose rows become those of a job: kept while they arrive, worked on afterwards."""

import asyncio
import re
from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from collections.abc import Sequence as Many
from typing import Any, NamedTuple
from uuid import UUID

from domain.jobs.csv_rows import CsvReader, Record, unguarded
from domain.platform.errors import ConflictError, InvalidFieldError
from domain.statuses.jobs import JobKind, JobState
from services.jobs.jobs import IGNORED_COLUMNS, JobDetails, start_in
from storage.jobs import jobs
from storage.jobs.jobs import Outcome
from storage.platform.database import Database, Transaction

INVALID = "invalid"
"""The result of a row that cannot be taken."""

IGNORED_MOST = 100
"""Most columns that are named as left out."""

_ROWS_AT_ONCE = 1000
_CELL_LENGTH = 500

_WRONG = {
    "column_count": "has more values than the first line has columns; quote values with commas",
    "invalid_text": "holds control characters; write plain text",
    "too_long": f"has a value of more than {_CELL_LENGTH} characters; shorten it",
}


class Columns(NamedTuple):
    """Where the fields are, how many columns there are, and what the others are called."""

    at: Mapping[str, int]
    width: int
    ignored: list[str]


class Uploads:
    """Takes files in, for whoever works on their rows.

    Args:
        database: PostgreSQL.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def receive(
        self,
        kind: JobKind,
        data: AsyncIterable[bytes],
        user_id: UUID,
        params: Mapping[str, Any],
        find_columns: Callable[[Many[str]], Columns],
        *,
        missing: InvalidFieldError,
    ) -> UUID:
        """Keep the rows of a file as those of a job that is not started yet.

        Nothing is held open while bytes are waited for. If anything is wrong with the file as a
        whole, nothing of it is kept.

        Args:
            kind: What the job will do.
            data: The file.
            user_id: Who uploads.
            params: What the job is about.
            find_columns: Tells from the first line where the fields are.
            missing: What to raise of an empty file.

        Returns:
            The job, for ``start`` or ``discard``.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``invalid_csv``, or of ``find_columns``.
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
        self,
        job_id: UUID,
        user_id: UUID,
        *,
        first: Callable[[Transaction], Awaitable[None]] | None = None,
    ) -> JobDetails:
        """Have the work begin on a file that was received.

        Args:
            job_id: The upload.
            user_id: Who has it done.
            first: Called in the transaction that starts it, before anything else.

        Raises:
            ConflictError: ``upload_canceled``.
        """
        async with self._database.transaction() as tx:
            if first is not None:
                await first(tx)
            if not await jobs.received(tx, job_id):
                raise _upload_canceled()
            record = await start_in(tx, job_id, user_id)
        return JobDetails.of(record, {})

    async def discard(self, job_id: UUID) -> None:
        """Forget a file that was received, if its work has not begun."""
        async with self._database.transaction() as tx:
            await jobs.discard_upload(tx, job_id)


def by_name(header: Many[str], field_of: Mapping[str, str]) -> dict[str, int]:
    """Tell where the fields are by the names in the first line.

    Raises:
        InvalidFieldError: ``duplicate_column``.
    """
    at: dict[str, int] = {}
    for index, heading in enumerate(header):
        name = field_of.get(letters(heading))
        if name in at:
            raise InvalidFieldError(
                "body",
                f"has more than one column for {name}; leave one out",
                code="duplicate_column",
            )
        if name is not None:
            at[name] = index
    return at


def letters(heading: str) -> str:
    """Give the letters of a column's name, by which it is known."""
    return re.sub(r"[^a-z]", "", heading.lower())


def unreadable(code: str) -> InvalidFieldError:
    """Say why a row could not be read; the code is in its ``wrong``."""
    return InvalidFieldError("row", _WRONG[code], code=code)


def invalid(position: int, errors: Many[InvalidFieldError]) -> Outcome:
    """Name every wrong field, never with its value."""
    named = [{"field": one.field, "code": one.field_code, "reason": one.reason} for one in errors]
    return Outcome(position, INVALID, {"errors": named})


def _values(record: Record, columns: Columns) -> Mapping[str, Any]:
    """Give what a record says, by field, or the code of why it cannot be read."""
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
        "upload_canceled", "the import was cancelled or took too long to arrive; send it again"
    )
