"""Routes of background jobs: starting, reading and canceling them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import CurrentUser, Sends, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, listing
from api.schemas.base import Listing
from api.schemas.jobs import Job, JobResults, JobsQuery, JobSummary, NewBatch, ResultsQuery
from domain.platform.errors import InvalidFieldError
from domain.platform.paging import Position
from domain.statuses.jobs import JobKind

router = APIRouter(tags=["jobs"])

RESPOND_ASYNC = "respond-async"
"""The preference of RFC 7240, section 4.1, for an answer before the work is done."""

_SORT = "-created_at"
_JOBS = Cursors("jobs", {"created_at": datetime})
_RESULTS_SORT = "position"
_RESULTS = Cursors("results", {"position": str})
_POSITION_MOST = 2**31 - 1


def prefers_async(prefer: Sequence[str]) -> bool:
    """Whether a client's ``Prefer`` headers ask for an answer before the work is done."""
    preferences = (one for header in prefer for one in header.split(","))
    return any(one.partition(";")[0].strip().lower() == RESPOND_ASYNC for one in preferences)


def accepted(response: Response) -> Response:
    """Add a job's address to the answer that holds it.

    An answer stored under a key that was used without the preference holds no job.
    """
    job_id = json.loads(bytes(response.body)).get("id")
    if job_id is not None:
        response.headers["Location"] = f"/api/jobs/{job_id}"
    return response


@router.post(
    "/sequences/{sequence_id}/contacts/batch",
    status_code=202,
    response_model=Job,
    dependencies=[Sends],
)
async def start_batch(
    sequence_id: UUID,
    body: NewBatch,
    services: ServicesDep,
    user: CurrentUser,
    once: OnceDep,
) -> Response:
    """Do something to all enrollments of a sequence that match now, in the background.

    The answer is the job, `Location` its address. Who matches is settled with the answer; who is
    enrolled later is left alone. The result codes are those of the action on single enrollments.
    404 `not_found` for an unknown sequence; 422 `missing` or `not_for_this_action` where
    `group_id` or `decision` does not go with the action, `unknown_group`.
    """
    answer = await once.answer(
        Job,
        lambda: services.jobs.start_bulk_action(
            sequence_id,
            JobKind(body.action),
            body.filter.wanted(),
            user.id,
            group_id=body.group_id,
            decision=body.decision,
        ),
        status_code=202,
    )
    return accepted(answer)


@router.get("/jobs")
async def list_jobs(
    query: Annotated[JobsQuery, Query()], services: ServicesDep, user: CurrentUser
) -> Listing[JobSummary]:
    """List work in the background, everyone's or one's own, the newest first."""
    page = await services.jobs.find(
        user_id=user.id if query.mine else None,
        states=query.state,
        after=_JOBS.read(query.cursor, _SORT),
        limit=query.limit,
    )
    return listing(page, JobSummary, _JOBS.write(page.next, _SORT))


@router.get("/jobs/{job_id}")
async def get_job(job_id: UUID, services: ServicesDep) -> Job:
    """Give one job: how far it is, and how many rows came to what."""
    return Job.model_validate(await services.jobs.get(job_id))


@router.get("/jobs/{job_id}/results")
async def list_results(
    job_id: UUID, query: Annotated[ResultsQuery, Query()], services: ServicesDep
) -> JobResults:
    """List what came of each row, in the order of the rows.

    Without `code` the rows that have no result yet are listed too.
    """
    cursors = _RESULTS.within(job_id)
    place = cursors.read(query.cursor, _RESULTS_SORT)
    rows, more = await services.jobs.results(
        job_id, codes=query.code, after=_after(place), limit=query.limit
    )
    last = Position(str(rows[-1].position), job_id) if more else None
    return JobResults.model_validate(
        {"items": rows, "next_cursor": cursors.write(last, _RESULTS_SORT)}
    )


@router.post("/jobs/{job_id}/cancel", response_model=Job)
async def cancel_job(
    job_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Leave the rows that are not begun alone; they come to `canceled`.

    What is done stays done. 409 `job_ended` if everything is.
    """
    return await once.answer(
        Job, lambda: services.jobs.cancel(job_id, user.id), status_code=200, repeatable=True
    )


def _after(place: Position | None) -> int:
    if place is None:
        return -1
    text = str(place.value)
    if text.isdecimal() and text.isascii() and len(text) <= len("2147483647"):
        return min(int(text), _POSITION_MOST)
    raise InvalidFieldError(
        "cursor",
        "does not belong to this list; take next_cursor of the page before, or leave it out",
        code="invalid_cursor",
    )
