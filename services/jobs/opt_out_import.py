"""Importing opted-out numbers from a CSV file."""

from collections.abc import AsyncIterable, Mapping
from collections.abc import Sequence as Many
from typing import Any, ClassVar
from uuid import UUID

from domain.contacts.fields import FieldSpec
from domain.platform import names, phones
from domain.platform.errors import InvalidFieldError
from domain.platform.phones import check_region
from domain.statuses.jobs import JobKind
from services.jobs.contact_import import PHONE_HEADINGS
from services.jobs.csv_upload import (
    Columns,
    CsvUpload,
    Heading,
    by_name,
    invalid,
    letters,
    matched,
    trimmed,
    unreadable,
)
from services.jobs.jobs import Handler
from services.suppression.suppressions import REASON_LENGTH, Suppressions
from storage.contacts import contacts
from storage.jobs.jobs import JobDetails, OpenRow, RowResult
from storage.platform.database import Database, Transaction
from storage.suppression import suppressions

_ROWS_AT_ONCE = 100
"""Their numbers stay locked until the commit: texts to and from them wait for it."""

_FIELD_OF = {
    **dict.fromkeys(PHONE_HEADINGS, "phone"),
    **dict.fromkeys(("reason", "note", "comment"), "reason"),
    "liftedat": "lifted_at",
}


class OptOutImport(CsvUpload):
    """Imports opted-out numbers."""

    kind: ClassVar[JobKind] = JobKind.IMPORT_SUPPRESSIONS

    def __init__(
        self, database: Database, suppressions_: Suppressions, *, default_region: str
    ) -> None:
        super().__init__(database, default_region=default_region)
        self._suppressions = suppressions_

    def handler(self) -> Handler:
        """Give the handler of its jobs."""
        return Handler(_ROWS_AT_ONCE, self._import)

    def offered(self, _own: Many[FieldSpec]) -> Mapping[str, str]:
        """See ``CsvUpload``."""
        return dict.fromkeys(_FIELD_OF.values(), "")

    def guessed(self, header: Many[str], _own: Many[FieldSpec]) -> list[Heading]:
        """See ``CsvUpload``."""
        named = [_FIELD_OF.get(letters(text)) for text in header]
        return [
            Heading(trimmed(text), None if name in named[:index] else name)
            for index, (text, name) in enumerate(zip(header, named, strict=True))
        ]

    def missing(self, columns: Mapping[str, int]) -> InvalidFieldError | None:
        """See ``CsvUpload``."""
        return None if "phone" in columns else _missing()

    async def receive(
        self,
        data: AsyncIterable[bytes],
        user_id: UUID,
        *,
        reason: str,
        dry_run: bool = False,
        region: str | None = None,
    ) -> UUID:
        """Store a file's rows as those of a job, and give its id, for ``start`` or ``discard``.

        ``reason`` is for rows without their own, and may be blank if all rows have one. ``dry_run``
        only checks the rows.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``not_csv``, ``invalid_csv``,
                ``missing_column``, ``duplicate_column``, ``unknown_region``, or the reason is
                invalid.
            ConflictError: ``upload_canceled``.
        """
        params = {
            "dry_run": dry_run,
            "region": check_region(region or self._default_region),
            "reason": names.clean(reason, field="reason", most=REASON_LENGTH, blank=True),
        }
        return await self._upload(data, user_id, params, _columns, missing=_missing())

    async def _import(
        self, tx: Transaction, job: JobDetails, rows: Many[OpenRow]
    ) -> list[RowResult]:
        """Suppress numbers; existing suppressions stay unchanged, with their evidence."""
        results: list[RowResult] = []
        numbers: dict[int, str] = {}
        reasons: dict[str, str] = {}
        for row in matched(rows, job):
            if row.detail.get("lifted_at", "").strip():
                results.append(RowResult(row.position, "lifted"))
                continue
            try:
                number, reason = _checked(row.detail, job.params)
            except InvalidFieldError as error:
                results.append(invalid(row.position, [error]))
                continue
            numbers[row.position] = number
            reasons.setdefault(number, reason)
        if job.params["dry_run"]:
            new = reasons.keys() - await suppressions.standing_everywhere(tx, list(reasons))
        else:
            new = await self._suppressions.suppress_unless_standing(
                tx, reasons, user_id=job.user_id
            )
        subjects = await contacts.by_phone(tx, list(reasons))
        for position, number in numbers.items():
            code = "suppressed" if number in new else "already_suppressed"
            new.discard(number)  # the next row with it finds it suppressed
            results.append(RowResult(position, code, {}, subjects.get(number)))
        return results


def _columns(header: Many[str]) -> Columns:
    at = by_name(header, lambda heading: _FIELD_OF.get(letters(heading)))
    if "phone" not in at:
        raise _missing()
    return Columns.of(header, at)


def _checked(given: Mapping[str, str], params: Mapping[str, Any]) -> tuple[str, str]:
    """Read a row's number and reason.

    Raises:
        InvalidFieldError: One of them is invalid.
    """
    if "wrong" in given:
        raise unreadable(given["wrong"])
    number = phones.normalize(given.get("phone", ""), default_region=params["region"])
    reason = given.get("reason", "").strip() or params["reason"]
    return number, names.clean(reason, field="reason", most=REASON_LENGTH)


def _missing() -> InvalidFieldError:
    return InvalidFieldError(
        "body",
        "has no column phone; name the columns in the first row: phone, and optionally reason",
        code="missing_column",
    )
