"""Work in the background as pages show it: how far it is, what came of it, cancelling it."""

from collections.abc import Mapping
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.responses import Response

from api.exports import CsvFile
from api.pages.page import Page, PageDep
from api.paging import FilterQuery
from domain.platform.errors import NotFoundError
from domain.statuses.jobs import JobKind
from services.jobs.csv_upload import INVALID
from storage.jobs.jobs import JobDetails, RowResult

router = APIRouter()

JOB_ENDED = "job-ended"
"""What the browser is told when a job on the page has ended, for lists to load anew."""

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
"""What came of a row, in words; reads on from any number, or a name."""


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
"""What a job does, as a heading."""

_OF_ENROLLMENTS = frozenset(
    {
        JobKind.MARK_FINISHED,
        JobKind.ADD_TO_GROUP,
        JobKind.PAUSE,
        JobKind.RESUME,
        JobKind.RELEASE,
    }
)
_ROWS = 50
_BAD_ROWS = 20


class ResultsQuery(FilterQuery):
    """What the address of a job's page says: only these results, after this row."""

    code: list[Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z_]+$")]] = Field(
        default_factory=list, max_length=50
    )
    after: Annotated[int, Field(ge=-1, le=2**31 - 1)] = -1


@router.get("/jobs/{job_id}")
async def show_job(
    page: PageDep, job_id: UUID, query: Annotated[ResultsQuery, Query()]
) -> Response:
    """Show a job: how far it is, and what came of each row."""
    job = await page.services.jobs.get(job_id)
    rows, more = await page.services.jobs.results(
        job_id, codes=query.code, after=query.after, limit=_ROWS
    )
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
        following=_address(page, code=query.code, after=rows[-1].position) if more else None,
        first=_address(page, code=query.code) if query.after >= 0 else None,
    )


def _address(page: Page, **query: object) -> str:
    told = {name: value for name, value in query.items() if value != []}
    return f"{page.request.url.path}?{urlencode(told, doseq=True)}"


@router.get("/jobs/{job_id}/bad-rows")
async def download_bad_rows(page: PageDep, job_id: UUID) -> StreamingResponse:
    """Give the rows of a file that cannot be taken, each with what is wrong, as a CSV file."""
    pieces = await page.services.exporting.bad_rows(job_id, page.user.id)
    return CsvFile.named("bad-rows", pieces)


async def job_of(page: Page, job_id: UUID, kind: JobKind) -> JobDetails:
    """Read a job of one kind.

    Raises:
        NotFoundError: There is none, or it is of another kind.
    """
    job = await page.services.jobs.get(job_id)
    if job.kind is not kind:
        raise NotFoundError("job", job_id)
    return job


async def bad_rows(page: Page, job_id: UUID) -> tuple[list[RowResult], bool]:
    """Read the first rows of a file that cannot be taken, and whether there are more."""
    return await page.services.jobs.results(job_id, codes=[INVALID], limit=_BAD_ROWS)


@router.get("/jobs/{job_id}/progress")
async def show_progress(page: PageDep, job_id: UUID) -> Response:
    """Show how far a job is; asked every second until it has ended."""
    return _progress(page, await page.services.jobs.get(job_id))


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(page: PageDep, job_id: UUID) -> Response:
    """Leave the rows alone that are not begun."""
    return _progress(page, await page.services.jobs.cancel(job_id, page.user.id))


def _progress(page: Page, job: JobDetails) -> Response:
    events = [JOB_ENDED] if job.state.is_final else []
    return page.part("jobs/_progress.html", job=job, result_words=RESULT_WORDS, events=events)
