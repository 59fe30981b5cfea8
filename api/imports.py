"""The route of importing contacts."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import Message
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import StreamedOnceDep
from api.job_schemas import Job
from api.jobs import accepted
from api.problems import Problem
from api.schemas import Schema

IMPORT_PATH = "/contacts/import"

router = APIRouter(tags=["contacts"])

_CSV = "text/csv"
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _CSV: {
                "schema": {"type": "string"},
                "example": "first_name,last_name,phone\nAda,Byron,+14155550123\n",
            }
        },
    }
}


class ImportQuery(Schema):
    """How to import; unknown parameters are refused."""

    dry_run: bool = Field(default=False, description="Check every row and write nothing.")
    group_id: UUID | None = Field(
        default=None, description="A group to put everyone of the file into."
    )
    region: str | None = Field(
        default=None,
        pattern="^[A-Za-z]{2}$",
        description="Country of numbers without a country code, such as `US`.",
    )


@router.post(IMPORT_PATH, status_code=202, response_model=Job, openapi_extra=_BODY)
async def import_contacts(
    request: Request,
    query: Annotated[ImportQuery, Query()],
    services: ServicesDep,
    user: CurrentUser,
    once: StreamedOnceDep,
) -> Response:
    """Import contacts from a CSV file in UTF-8, in the background.

    The first line names the columns: `phone`, `first_name` or `last_name` or both, and if you like
    `time_zone` and `line_type`; others are left out and named in `about.ignored_columns`. The
    answer is the job, `Location` its address; the `position` of a result is its line in the file.

    Results: `created`; `unchanged`: is there just so; `exists`: the number is there with other
    data, which stays (`detail.contact_id`); `duplicate_in_file`; `invalid` (`detail.errors` names
    fields and reasons). 422 with nothing kept: `invalid_encoding`, `invalid_csv`,
    `missing_column`, `duplicate_column`, `unknown_region`, `unknown_group`. 413 `body_too_large`,
    409 `upload_canceled`.
    """
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

    job_id = await services.importing.receive(
        pieces(), user.id, dry_run=query.dry_run, group_id=query.group_id, region=query.region
    )

    async def start() -> Job:
        return Job.of(await services.importing.start(job_id, user.id))

    try:
        request_hash = digest.hexdigest()
        return accepted(
            await replace(once, request_hash=request_hash).answer(start, status_code=202)
        )
    finally:
        # Does nothing to a job that was started: this is a file that came before, or was refused.
        await services.importing.discard(job_id)


def _is_csv(content_type: str) -> bool:
    """Whether a type is CSV, in the one encoding that is read."""
    header = Message()
    header["Content-Type"] = content_type
    return header.get_content_type() == _CSV and header.get_content_charset("utf-8") in _UTF8
