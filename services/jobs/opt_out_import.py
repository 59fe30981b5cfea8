"""Importing opted-out numbers from a CSV file: kept while it arrives, written afterwards."""

from collections.abc import AsyncIterable, Mapping
from collections.abc import Sequence as Many
from typing import Any
from uuid import UUID

from domain.platform import names, phones
from domain.platform.errors import InvalidFieldError
from domain.platform.phones import check_region
from domain.statuses.jobs import JobKind
from services.jobs.contact_import import PHONE_HEADINGS
from services.jobs.csv_upload import IGNORED_MOST, Columns, Uploads, by_name, invalid, unreadable
from services.jobs.jobs import Act, JobDetails, JobTask
from services.suppression.suppressions import REASON_LENGTH, Suppressions
from storage.contacts import contacts
from storage.jobs.jobs import OpenRow, Outcome
from storage.platform.database import Database, Transaction
from storage.suppression import suppressions

_ROWS_AT_ONCE = 100
"""Their numbers stay locked until all are done: texts to and from them wait for that."""

_FIELD_OF = {
    **dict.fromkeys(PHONE_HEADINGS, "phone"),
    **dict.fromkeys(("reason", "note", "comment"), "reason"),
    "liftedat": "lifted_at",
}


class OptOutImport:
    """The use case of importing opted-out numbers.

    Args:
        database: PostgreSQL.
        by_hand: Opts a number out.
        default_region: ISO 3166-1 alpha-2 code of the country that numbers without a country code
            belong to, if the import names none.
    """

    def __init__(
        self,
        database: Database,
        by_hand: Suppressions,
        *,
        default_region: str,
    ) -> None:
        self._by_hand = by_hand
        self._uploads = Uploads(database)
        self._default_region = default_region

    def act(self) -> Act:
        """Give what a job does with its rows."""
        return Act(_ROWS_AT_ONCE, self._import)

    async def receive(
        self,
        data: AsyncIterable[bytes],
        user_id: UUID,
        *,
        reason: str,
        dry_run: bool = False,
        region: str | None = None,
    ) -> UUID:
        """Keep the rows of a file as those of a job that is not started yet.

        Args:
            data: The file.
            user_id: Who imports.
            reason: Of the rows that give none of their own; may be blank if all of them do.
            dry_run: Whether to check only.
            region: As ``default_region``, for this file.

        Returns:
            The job, for ``start`` or ``discard``.

        Raises:
            InvalidFieldError: ``invalid_encoding``, ``invalid_csv``, ``missing_column``,
                ``duplicate_column``, ``unknown_region``, or the reason cannot be taken.
            ConflictError: ``upload_canceled``.
        """
        params = {
            "dry_run": dry_run,
            "region": check_region(region or self._default_region),
            "reason": names.clean(reason, field="reason", most=REASON_LENGTH, blank=True),
        }
        return await self._uploads.receive(
            JobKind.IMPORT_SUPPRESSIONS, data, user_id, params, _columns, missing=_missing()
        )

    async def start(self, job_id: UUID, user_id: UUID) -> JobDetails:
        """Have the work begin on a file that was received.

        Raises:
            ConflictError: ``upload_canceled``.
        """
        return await self._uploads.start(job_id, user_id)

    async def discard(self, job_id: UUID) -> None:
        """Forget a file that was received, if its work has not begun."""
        await self._uploads.discard(job_id)

    async def _import(self, tx: Transaction, task: JobTask, rows: Many[OpenRow]) -> list[Outcome]:
        """Opt numbers out; what stands already stays as it is, with its evidence."""
        outcomes: list[Outcome] = []
        numbers: dict[int, str] = {}
        reasons: dict[str, str] = {}
        for row in rows:
            if row.detail.get("lifted_at", "").strip():
                outcomes.append(Outcome(row.position, "lifted"))
                continue
            try:
                number, reason = _checked(row.detail, task.params)
            except InvalidFieldError as error:
                outcomes.append(invalid(row.position, [error]))
                continue
            numbers[row.position] = number
            reasons.setdefault(number, reason)
        if task.params["dry_run"]:
            new = reasons.keys() - await suppressions.standing_everywhere(tx, list(reasons))
        else:
            new = await self._by_hand.suppress_unless_standing(tx, reasons, user_id=task.user_id)
        subjects = await contacts.by_phone(tx, list(reasons))
        for position, number in numbers.items():
            code = "suppressed" if number in new else "already_suppressed"
            new.discard(number)  # the next row with it finds it suppressed
            subject = subjects[number].id if number in subjects else None
            outcomes.append(Outcome(position, code, {}, subject))
        return outcomes


def _columns(header: Many[str]) -> Columns:
    at = by_name(header, _FIELD_OF)
    if "phone" not in at:
        raise _missing()
    ignored = [text.strip() for index, text in enumerate(header) if index not in at.values()]
    return Columns(at, len(header), [text for text in ignored if text][:IGNORED_MOST])


def _checked(given: Mapping[str, str], params: Mapping[str, Any]) -> tuple[str, str]:
    """Read a row's number and reason.

    Raises:
        InvalidFieldError: They cannot be taken.
    """
    if "wrong" in given:
        raise unreadable(given["wrong"])
    number = phones.normalise(given.get("phone", ""), default_region=params["region"])
    reason = given.get("reason", "").strip() or params["reason"]
    return number, names.clean(reason, field="reason", most=REASON_LENGTH)


def _missing() -> InvalidFieldError:
    return InvalidFieldError(
        "body",
        "has no column phone; name the columns in the first line: phone, and if you like reason",
        code="missing_column",
    )
