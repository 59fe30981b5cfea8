"""The routes of importing contacts and opted-out numbers."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from email.message import Message
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import Once, StreamedOnceDep
from api.jobs import accepted
from api.paging import InQuery
from api.problems import Problem
from api.schemas.base import Schema
from api.schemas.jobs import Job
from domain.platform.errors import InvalidFieldError
from services.jobs.csv_upload import CsvUpload
from services.suppression.suppressions import REASON_LENGTH

CONTACTS_PATH = "/contacts/import"
SUPPRESSIONS_PATH = "/suppressions/import"

router = APIRouter()

_CSV = "text/csv"
_FILE = "application/octet-stream"
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "utf-16", "windows-1252", "iso-8859-1"})
"""What a client may call the encoding; which one it is, the file itself tells."""

_COLUMNS_MOST = 100

_CSV_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": (
            "The file as it is, in UTF-8, UTF-16 or Windows-1252, separated by commas, semicolons"
            " or tabs; `Content-Type: text/csv` is accepted as well."
        ),
        # Generators send the bytes of a file, and know no other type for it.
        "content": {_FILE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


class ImportQuery(Schema):
    """How to import; unknown parameters are refused."""

    dry_run: bool = Field(default=False, description="Check every row and write nothing.")
    region: str | None = Field(default=None, pattern="^[A-Za-z]{2}$")
    """Country of numbers without a country code, such as `US`."""


class ContactsImportQuery(ImportQuery):
    """How to import contacts."""

    group_id: UUID | None = None
    """A group to add everyone in the file to."""
    update_existing: bool = False
    """Change contacts who exist; otherwise their data stays."""
    column: list[Annotated[str, Field(max_length=200, pattern="^[^=]+=.+$")]] = Field(
        default_factory=list, max_length=_COLUMNS_MOST, examples=[["phone=Cell", "full_name=Who"]]
    )
    """What to read from which column, `FIELD=NAME`; without any, the names decide."""

    def columns(self) -> dict[str, str] | None:
        """Return the name of each field's column; None if none is given.

        Raises:
            InvalidFieldError: ``duplicate_column``.
        """
        pairs = [one.partition("=")[::2] for one in self.column]
        if len(dict(pairs)) < len(pairs):
            raise InvalidFieldError(
                "column", "names a field twice; name each once", code="duplicate_column"
            )
        return dict(pairs) or None


class SuppressionsImportQuery(ImportQuery):
    """How to import opted-out numbers."""

    reason: str = Field(default="", max_length=REASON_LENGTH)
    """Why, for rows that give no reason of their own."""


@router.post(
    CONTACTS_PATH, status_code=202, response_model=Job, tags=["contacts"], openapi_extra=_CSV_BODY
)
async def import_contacts(
    request: Request,
    query: InQuery[ContactsImportQuery],
    services: ServicesDep,
    user: CurrentUser,
    once: StreamedOnceDep,
) -> Response:
    """Import contacts from a CSV file, in the background.

    The first line names the columns: `phone`, `first_name` or `last_name` or both, or `full_name`,
    and optionally `time_zone`, `country`, `state`, `postal_code`, `line_type`, `external_id`,
    `owner` (a user's email address), `consent_source` with `consent_at` (and `consent_wording`,
    `consent_written`: a consent of the row's number, as in
    `POST /api/contacts/{contact_id}/consents`) and the workspace's fields by key or label; others
    are ignored and named in `about.ignored_columns`. If they are called otherwise, `column` says
    what to read from which: `column=phone=Cell`, `column=fields.shift=Shift`, and
    `column=groups=Teams` for names of groups, separated by semicolons, which are created if there
    are none. The answer is
    the job, `Location` its address; the `position` of a result is its line in the file. A row is
    matched by `external_id`, else by `phone`, as in `POST /api/contacts/upsert`; blank cells count
    as left out.

    Results: `created`; `unchanged`: the contact exists with the same data; `exists`: it exists
    with other data, which stays (`detail.contact_id`); with `update_existing`, `changed` instead;
    `duplicate_in_file`; `other_name`: skipped, as the number is that of a contact with another name
    (only of a file whose columns a person matched on its page); `invalid`
    (`detail.errors` names fields and reasons). 422 with nothing kept: `invalid_encoding`, `not_csv`
    (an Excel workbook), `invalid_csv`, `missing_column`, `duplicate_column`, `unknown_column`,
    `unknown_region`, `unknown_group`. 413 `body_too_large`, 409 `upload_canceled`.
    """
    columns = query.columns()

    async def receive(data: AsyncIterator[bytes]) -> UUID:
        return await services.importing.receive(
            data,
            user.id,
            dry_run=query.dry_run,
            update_existing=query.update_existing,
            group_id=query.group_id,
            region=query.region,
            columns=columns,
        )

    return await _take(request, once, services.importing, receive, user.id)


@router.post(
    SUPPRESSIONS_PATH,
    status_code=202,
    response_model=Job,
    tags=["suppressions"],
    openapi_extra=_CSV_BODY,
)
async def import_suppressions(
    request: Request,
    query: InQuery[SuppressionsImportQuery],
    services: ServicesDep,
    user: CurrentUser,
    once: StreamedOnceDep,
) -> Response:
    """Opt out the numbers of a CSV file by hand, in the background.

    The first line names the columns: `phone`, and optionally `reason` and `lifted_at`, so that an
    export can be imported; others are ignored and named in `about.ignored_columns`. The answer is
    the job, `Location` its address; the `position` of a result is its line in the file.

    Results: `suppressed`, as with `POST /api/suppressions`; `already_suppressed`: it stays, with
    its evidence; `lifted`: the row has a `lifted_at`, so the number is left alone; `invalid`
    (`detail.errors` names fields and reasons). 422 with nothing kept: `invalid_encoding`,
    `not_csv`, `invalid_csv`, `missing_column`, `duplicate_column`, `unknown_region`. 413
    `body_too_large`, 409 `upload_canceled`.
    """

    async def receive(data: AsyncIterator[bytes]) -> UUID:
        return await services.opt_out_import.receive(
            data, user.id, reason=query.reason, dry_run=query.dry_run, region=query.region
        )

    return await _take(request, once, services.opt_out_import, receive, user.id)


async def _take(
    request: Request,
    once: Once,
    uploads: CsvUpload,
    receive: Callable[[AsyncIterator[bytes]], Awaitable[UUID]],
    user_id: UUID,
) -> Response:
    """Receive a file and start its job, once for each key."""
    if not _is_csv(request.headers.get("content-type", "")):
        return Problem(
            415,
            "unsupported_media_type",
            f"send the file as it is, with Content-Type: {_CSV} or {_FILE}",
        ).response()
    digest = hashlib.sha256()

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in request.stream():
            digest.update(piece)
            yield piece

    job_id = await receive(pieces())
    try:
        keyed = replace(once, request_hash=digest.hexdigest())
        return accepted(await keyed.answer(lambda: uploads.start(job_id, user_id)))
    finally:
        # Does nothing to a started job: this file was sent before, or was refused.
        await uploads.discard(job_id)


def _is_csv(content_type: str) -> bool:
    """Whether a type is CSV, in an encoding that is read, or says nothing of a file."""
    header = Message()
    header["Content-Type"] = content_type
    if header.get_content_type() == _FILE:
        return True
    return header.get_content_type() == _CSV and header.get_content_charset("utf-8") in _CHARSETS
