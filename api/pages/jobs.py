"""Background jobs: progress, results by row, canceling."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.responses import Response

from api.exports import CsvFile
from api.pages.addresses import address
from api.pages.page import InQuery, Page, PageDep
from api.paging import FilterQuery
from domain.platform.errors import NotFoundError
from domain.statuses.jobs import JobKind
from services.jobs.csv_upload import INVALID
from storage.jobs.jobs import JobDetails

router = APIRouter()

JOB_ENDED = "job-ended"
"""The event after a job on the page has ended; lists load again."""

RESULT_WORDS: Mapping[str, str] = {
    "active": "enrolled",
    "omitted_opted_out": "opted out already",
    "omitted_landline": "on a landline",
    "already_active": "enrolled here already",
    "unknown_contact": "not among the contacts",
    "all_steps_past": "too late, as every date is past",
    "finished": "marked as finished",
    "already_final": "had ended already",
    "not_found": "no longer there",
    "added": "added to the group",
    "already_member": "in the group already",
    "paused": "paused",
    "already_paused": "paused already",
    "resumed": "resumed",
    "not_paused": "not paused",
    "accepted": "texted",
    "opted_out": "opted out, so not texted",
    "landline": "on a landline, so not texted",
    "released": "released",
    "not_held": "not held",
    "awaiting_reply": "had all their texts already",
    "outcome_known": "had their outcome already",
    "created": "added",
    "exists": "known by another name",
    "unchanged": "known already",
    "duplicate_in_file": "twice in the file",
    "invalid": "cannot be taken",
    "unknown_group": "not done, as the group is gone",
    "suppressed": "opted out",
    "already_suppressed": "opted out already",
    "lifted": "left alone, as the file says it was lifted",
    "canceled": "left alone, as you cancelled",
    "failed": "not done",
}
"""The result of a row; follows a count or a name."""


KIND_WORDS: Mapping[JobKind, str] = {
    JobKind.IMPORT_CONTACTS: "Import of contacts",
    JobKind.IMPORT_SUPPRESSIONS: "Import of opt-outs",
    JobKind.ENROLL: "Enrolling",
    JobKind.MARK_FINISHED: "Marking as finished",
    JobKind.ADD_TO_GROUP: "Adding to a group",
    JobKind.PAUSE: "Pausing",
    JobKind.RESUME: "Resuming",
    JobKind.RELEASE: "Releasing",
}
"""Headings by kind of job."""

_OF_ENROLLMENTS = frozenset(JobKind) - {
    JobKind.IMPORT_CONTACTS,
    JobKind.IMPORT_SUPPRESSIONS,
    JobKind.ENROLL,
}
_ROWS = 50
_BAD_ROWS = 20


class ResultsQuery(FilterQuery):
    """Filter of the results shown: only these codes, only after this row."""

    code: list[Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z_]+$")]] = Field(
        default_factory=list, max_length=50
    )
    after: Annotated[int, Field(ge=-1, le=2**31 - 1)] = -1


@router.get("/jobs/{job_id}")
async def show_job(page: PageDep, job_id: UUID, query: InQuery[ResultsQuery]) -> Response:
    """Show a job's progress and the result of each row."""
    job = await page.services.jobs.get(job_id)
    rows, more = await page.services.jobs.results(
        job_id, codes=query.code, after=query.after, limit=_ROWS
    )
    path = page.request.url.path
    return page.render(
        "jobs/job.html",
        part="jobs/_results.html",
        job=job,
        title=KIND_WORDS[job.kind],
        rows=rows,
        names=await page.services.jobs.names(rows),
        of_enrollments=job.kind in _OF_ENROLLMENTS,
        result_words=RESULT_WORDS,
        codes=query.code,
        following=address(path, code=query.code, after=rows[-1].position) if more else None,
        first=address(path, code=query.code) if query.after >= 0 else None,
    )


@router.get("/jobs/{job_id}/bad-rows")
async def download_bad_rows(page: PageDep, job_id: UUID) -> StreamingResponse:
    """Download the invalid rows of a file as a CSV file, each with its error."""
    pieces = await page.services.exporting.bad_rows(job_id, page.user.id)
    return CsvFile.named("bad-rows", pieces)


async def import_result(page: Page, job_id: UUID, kind: JobKind, template: str) -> Response:
    """Show the result of an import: its counts and the first invalid rows.

    Raises:
        NotFoundError: There is no such job, or it is of another kind.
    """
    job = await page.services.jobs.get(job_id)
    if job.kind is not kind:
        raise NotFoundError("job", job_id)
    bad, more = await page.services.jobs.results(job_id, codes=[INVALID], limit=_BAD_ROWS)
    return page.part(template, job=job, bad=bad, more=more)


@router.get("/jobs/{job_id}/progress")
async def show_progress(page: PageDep, job_id: UUID) -> Response:
    """Show a job's progress; the page asks every second until it has ended."""
    return _progress(page, await page.services.jobs.get(job_id))


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(page: PageDep, job_id: UUID) -> Response:
    """Cancel the rows of a job that have not begun."""
    return _progress(page, await page.services.jobs.cancel(job_id, page.user.id))


def _progress(page: Page, job: JobDetails) -> Response:
    events = [JOB_ENDED] if job.state.is_final else []
    return page.part("jobs/_progress.html", job=job, result_words=RESULT_WORDS, events=events)
