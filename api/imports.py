"""The routes of importing contacts and opted-out numbers."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from email.message import Message
from typing import Any
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
from services.jobs.csv_upload import CsvUpload
from services.suppression.suppressions import REASON_LENGTH

CONTACTS_PATH = "/contacts/import"
SUPPRESSIONS_PATH = "/suppressions/import"

router = APIRouter()

_CSV = "text/csv"
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})

_CSV_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {_CSV: {"schema": {"type": "string"}}}}
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
    """Import contacts from a CSV file in UTF-8, in the background.

    The first line names the columns: `phone`, `first_name` or `last_name` or both, and optionally
    `time_zone`, `line_type`, `external_id`, `owner` (a user's email address) and the workspace's
    fields by key or label; others are ignored and named in `about.ignored_columns`. The answer is
    the job, `Location` its address; the `position` of a result is its line in the file. A row is
    matched by `external_id`, else by `phone`, as in `POST /api/contacts/upsert`; blank cells count
    as left out.

    Results: `created`; `unchanged`: the contact exists with the same data; `exists`: it exists
    with other data, which stays (`detail.contact_id`); with `update_existing`, `changed` instead;
    `duplicate_in_file`; `invalid`
    (`detail.errors` names fields and reasons). 422 with nothing kept: `invalid_encoding`,
    `invalid_csv`, `missing_column`, `duplicate_column`, `unknown_region`, `unknown_group`. 413
    `body_too_large`, 409 `upload_canceled`.
    """

    async def receive(data: AsyncIterator[bytes]) -> UUID:
        return await services.importing.receive(
            data,
            user.id,
            dry_run=query.dry_run,
            update_existing=query.update_existing,
            group_id=query.group_id,
            region=query.region,
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
    """Opt out the numbers of a CSV file in UTF-8 by hand, in the background.

    The first line names the columns: `phone`, and optionally `reason` and `lifted_at`, so that an
    export can be imported; others are ignored and named in `about.ignored_columns`. The answer is
    the job, `Location` its address; the `position` of a result is its line in the file.

    Results: `suppressed`, as with `POST /api/suppressions`; `already_suppressed`: it stays, with
    its evidence; `lifted`: the row has a `lifted_at`, so the number is left alone; `invalid`
    (`detail.errors` names fields and reasons). 422 with nothing kept: `invalid_encoding`,
    `invalid_csv`, `missing_column`, `duplicate_column`, `unknown_region`. 413 `body_too_large`,
    409 `upload_canceled`.
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
            "send the file as it is, in UTF-8, with Content-Type: text/csv",
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
    """Whether a type is CSV, in the one encoding that is read."""
    header = Message()
    header["Content-Type"] = content_type
    return header.get_content_type() == _CSV and header.get_content_charset("utf-8") in _UTF8
