"""Exports: lists as CSV files, one page in memory at a time."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from operator import attrgetter
from typing import Any, Generic, TypeVar
from uuid import UUID

from domain.contacts.fields import as_text
from domain.jobs.csv_rows import guarded
from domain.platform.errors import required
from domain.platform.moments import written
from domain.platform.names import clean_search
from domain.platform.paging import Position, by_creation
from domain.statuses.suppression import OptOutSource
from services.contacts.contacts import clean_filter
from services.enrollments.enrollment_list import cleaned
from services.jobs.csv_upload import INVALID
from services.platform import audit
from storage.access import users
from storage.contacts import contacts, fields
from storage.contacts.contacts import ContactDetails, ContactFilter
from storage.enrollments import enrollment_list
from storage.enrollments.enrollment_list import ListedRow
from storage.enrollments.list_filter import ListFilter
from storage.enrollments.list_order import Order
from storage.jobs import jobs
from storage.jobs.jobs import RowResult
from storage.platform.database import Database, Transaction
from storage.suppression import suppressions

PAGE = 1_000
"""Rows in memory at once."""

CONTACT_COLUMNS = (
    *("first_name", "last_name", "phone", "time_zone", "country", "state", "postal_code"),
    *("line_type", "external_id", "owner"),
)
"""The columns that an import reads; the workspace's fields follow, by key."""

ENROLLMENT_COLUMNS = (
    *("enrollment_id", "contact_id", "first_name", "last_name", "phone", "status"),
    *("status_label", "activity", "held_reason", "step", "step_count", "enrolled_by"),
    *("enrolled_at", "next_send_at", "last_message_at", "error_code", "error"),
    "replied_late_at",
)

SUPPRESSION_COLUMNS = (
    *("id", "phone", "contact_id", "sender_id", "source", "reason", "message_id", "user"),
    *("occurred_at", "created_at", "lifted_at", "lifted_by", "lifted_reason"),
)

_CONTACT_CELLS = attrgetter(*CONTACT_COLUMNS[:-1])
_SUPPRESSION_CELLS = attrgetter(
    *(
        {"user": "user_name", "lifted_by": "lifted_by_name"}.get(one, one)
        for one in SUPPRESSION_COLUMNS
    )
)

BAD_ROW_COLUMNS = ("line", "what_is_wrong")

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_Row = TypeVar("_Row")


@dataclass(frozen=True)
class _Source(Generic[_Row]):
    """One kind of export: how its pages are read, and how the audit log names it.

    ``subject`` is the kind and id of the one thing that it exports, if any.
    """

    action: str
    columns: Sequence[str]
    read: Callable[[Transaction, Position | None], Awaitable[list[_Row]]]
    place: Callable[[_Row], Position]
    cells: Callable[[_Row], Sequence[Any]]
    subject: tuple[str, UUID] | None = None


class Exporting:
    """Exports lists as pieces of a CSV file in UTF-8.

    Every page is read in its own transaction, so a slow client holds no lock. Changes made
    meanwhile may or may not be included. The audit log has every export and its number of rows,
    also of an interrupted one.
    """

    def __init__(self, database: Database, *, default_region: str) -> None:
        self._database = database
        self._default_region = default_region
        self._notes: set[asyncio.Task[None]] = set()

    async def contacts(
        self,
        user_id: UUID,
        wanted: ContactFilter = ContactFilter(),  # noqa: B008 - immutable
        *,
        sort: str = "name",
    ) -> AsyncIterator[bytes]:
        """Export contacts, in the columns that an import reads; filters as ``Contacts.find``.

        Raises:
            InvalidFieldError: See ``services.contacts.contacts.clean_filter``.
        """
        async with self._database.transaction() as tx:
            cleaned_filter = await clean_filter(tx, wanted, region=self._default_region)
            keys = [one.key for one in await fields.find(tx)]
            owners = await users.emails(tx)

        def cells(row: ContactDetails) -> Sequence[Any]:
            owner = None if row.owner_id is None else owners.get(row.owner_id)
            return (*_CONTACT_CELLS(row), owner, *(as_text(row.fields.get(key)) for key in keys))

        source = _Source(
            "contacts.export",
            (*CONTACT_COLUMNS, *keys),
            lambda tx, after: contacts.find(
                tx, cleaned_filter, sort=sort, after=after, limit=PAGE, whole=True
            ),
            lambda row: row.position(sort),
            cells,
        )
        return await self._begin(source, user_id)

    async def enrollments(
        self, sequence_id: UUID, wanted: ListFilter, user_id: UUID, *, sort: str = "-enrolled_at"
    ) -> AsyncIterator[bytes]:
        """Export a sequence's Contacts tab; filters as ``EnrollmentList.page``.

        Raises:
            NotFoundError: There is no such sequence.
            InvalidFieldError: The search cannot match anyone.
        """
        async with self._database.transaction() as tx:
            wanted = await cleaned(tx, wanted)
            required(await enrollment_list.state_of(tx, sequence_id), "sequence", sequence_id)

        async def read(tx: Transaction, after: Position | None) -> list[ListedRow]:
            order = Order.of(sequence_id, sort, after)
            page = enrollment_list.page(tx, order, wanted, limit=PAGE)
            return (await page).rows

        source = _Source(
            "enrollments.export",
            ENROLLMENT_COLUMNS,
            read,
            lambda row: Position(row.sort_key, row.id),
            _enrollment_cells,
            ("sequence", sequence_id),
        )
        return await self._begin(source, user_id)

    async def suppressions(
        self,
        user_id: UUID,
        *,
        search: str = "",
        sources: Sequence[OptOutSource] = (),
        is_standing: bool | None = None,
    ) -> AsyncIterator[bytes]:
        """Export opted-out numbers with their evidence; filters as ``Suppressions.find``.

        Raises:
            InvalidFieldError: The search cannot match anything.
        """
        sought = clean_search(search)
        source = _Source(
            "suppressions.export",
            SUPPRESSION_COLUMNS,
            lambda tx, after: suppressions.find(
                tx, search=sought, sources=sources, is_standing=is_standing, after=after, limit=PAGE
            ),
            by_creation,
            _SUPPRESSION_CELLS,
        )
        return await self._begin(source, user_id)

    async def bad_rows(self, job_id: UUID, user_id: UUID) -> AsyncIterator[bytes]:
        """Export the invalid rows of a file, each with its errors.

        Raises:
            NotFoundError: There is no such job.
        """
        async with self._database.transaction() as tx:
            required(await jobs.get(tx, job_id), "job", job_id)

        async def read(tx: Transaction, after: Position | None) -> list[RowResult]:
            last = int(str(after.value)) if after else -1
            return await jobs.results(tx, job_id, codes=[INVALID], after=last, limit=PAGE)

        source = _Source(
            "job.export",
            BAD_ROW_COLUMNS,
            read,
            lambda row: Position(str(row.position), job_id),
            _bad_row_cells,
            ("job", job_id),
        )
        return await self._begin(source, user_id)

    async def _begin(self, source: _Source[_Row], user_id: UUID) -> AsyncIterator[bytes]:
        """Read the first page at once, so that errors are raised before the answer begins."""
        async with self._database.transaction() as tx:
            first = await source.read(tx, None)
        return self._pieces(source, first, user_id)

    async def _pieces(
        self, source: _Source[_Row], page: list[_Row], user_id: UUID
    ) -> AsyncIterator[bytes]:
        count = 0
        whole = False
        try:
            yield lines([source.columns])
            while page:
                count += len(page)
                yield lines([source.cells(row) for row in page])
                if len(page) < PAGE:
                    break
                after = source.place(page[-1])
                async with self._database.transaction() as tx:
                    page = await source.read(tx, after)
            whole = True
        finally:
            await self._note(source, user_id, count, whole=whole)

    async def _note(self, source: _Source[_Row], user_id: UUID, count: int, *, whole: bool) -> None:
        """Add an export to the audit log, even while the request is being canceled."""

        async def note() -> None:
            kind, subject_id = source.subject or (None, None)
            async with self._database.transaction() as tx:
                await audit.record(
                    tx,
                    source.action,
                    kind,
                    [] if subject_id is None else [subject_id],
                    user_id=user_id,
                    count=count,
                    whole=whole,
                )

        task = asyncio.create_task(note())
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)
        await asyncio.shield(task)


def lines(rows: Sequence[Sequence[Any]]) -> bytes:
    """Write lines of CSV (RFC 4180)."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([_cell(one) for one in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> str:  # noqa: ANN401 - whatever a row holds
    """Format a value so that no spreadsheet takes it for a formula.

    What looks like a formula gets an apostrophe, but not a number in E.164.
    """
    match value:
        case None:
            return ""
        case datetime():
            return written(value)
        case Enum():
            return str(value.value)
        case str() if not _E164.fullmatch(value):
            return guarded(value)
        case _:
            return str(value)


_OWN_CELLS = attrgetter(
    *ENROLLMENT_COLUMNS[: ENROLLMENT_COLUMNS.index("enrolled_by")],
    "enrolled_by_name",
    *("enrolled_at", "next_send_at", "last_message_at"),
)


def _enrollment_cells(row: ListedRow) -> Sequence[Any]:
    return (*_OWN_CELLS(row), *(row.error or (None, None)), row.replied_late_at)


def _bad_row_cells(row: RowResult) -> Sequence[Any]:
    errors = row.detail.get("errors", [])
    return row.position, "; ".join(f"{one['field']} {one['reason']}" for one in errors)
