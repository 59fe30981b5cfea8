"""Routes of background jobs: starting, reading and canceling them."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, Sends, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, invalid_cursor
from api.schemas.base import Listing
from api.schemas.jobs import Job, JobResults, JobsQuery, JobSummary, NewBatch, ResultsQuery
from domain.platform.paging import Position
from domain.statuses.jobs import JobKind

router = APIRouter(tags=["jobs"])

RESPOND_ASYNC = "respond-async"
"""The preference of RFC 7240, section 4.1, for an answer before the work is done."""

JOB_CURSORS = Cursors("jobs", "-created_at", {"created_at": datetime})
_RESULTS = Cursors("results", "position", {"position": str})
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
    sequence_id: UUID, body: NewBatch, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Act on all matching enrollments of a sequence, in the background.

    The answer is the job, `Location` its address. What matches is decided before the answer;
    contacts enrolled later are left out. The result codes are those of the action on single
    enrollments. 404 `not_found` for an unknown sequence; 422 `missing` or `not_for_this_action` if
    `group_id` or `decision` does not fit the action, `unknown_group`; 409 `more_match` if more
    than `at_most` match.
    """
    start = partial(
        services.jobs.start_bulk_action,
        sequence_id,
        JobKind(body.action),
        body.filter.wanted(),
        user.id,
        group_id=body.group_id,
        decision=body.decision,
        at_most=body.at_most,
    )
    return accepted(await once.answer(start))


@router.get("/jobs")
async def list_jobs(
    query: InQuery[JobsQuery], services: ServicesDep, user: CurrentUser
) -> Listing[JobSummary]:
    """List jobs, everyone's or one's own, newest first."""
    user_id = user.id if query.mine else None
    find = partial(services.jobs.find, user_id=user_id, states=query.state)
    return await JOB_CURSORS.listing(JobSummary, query, find)


@router.get("/jobs/{job_id}")
async def get_job(job_id: UUID, services: ServicesDep) -> Job:
    """Return one job: its progress, and its rows counted by result."""
    return Job.model_validate(await services.jobs.get(job_id))


@router.get("/jobs/{job_id}/results")
async def list_results(
    job_id: UUID, query: InQuery[ResultsQuery], services: ServicesDep
) -> JobResults:
    """List the result of each row, in the order of the rows.

    Without `code`, rows that have no result yet are listed too.
    """
    cursors = _RESULTS.within(job_id)
    after = _after(cursors.read(query.cursor))
    rows, more = await services.jobs.results(
        job_id, codes=query.code, after=after, limit=query.limit
    )
    last = Position(str(rows[-1].position), job_id) if more else None
    return JobResults.model_validate({"items": rows, "next_cursor": cursors.write(last)})


@router.post("/jobs/{job_id}/cancel", response_model=Job)
async def cancel_job(
    job_id: UUID, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Cancel the rows that have not begun; their result is `canceled`.

    What is done stays done. 409 `job_ended` if the job has ended.
    """
    return await once.answer(lambda: services.jobs.cancel(job_id, user.id), repeatable=True)


def _after(place: Position | None) -> int:
    if place is None:
        return -1
    text = str(place.value)
    if text.isdecimal() and text.isascii() and len(text) <= len("2147483647"):
        return min(int(text), _POSITION_MOST)
    raise invalid_cursor()
