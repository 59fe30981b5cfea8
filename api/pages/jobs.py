"""Background jobs: progress, results by row, canceling."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.responses import Response

from api.exports import CsvFile
from api.pages.addresses import address
from api.pages.labels import LABELS
from api.pages.page import Page, PageDep, PageEvent
from api.pages.selecting import done_words
from api.paging import FilterQuery, InQuery
from domain.statuses.jobs import JobKind
from services.jobs.contact_actions import can_be_undone
from storage.jobs.jobs import JobDetails

router = APIRouter()

_OF_ENROLLMENTS = frozenset(
    {
        JobKind.ADD_TO_GROUP,
        JobKind.MARK_FINISHED,
        JobKind.PAUSE,
        JobKind.RELEASE,
        JobKind.RESUME,
    }
)
_ROWS = 50


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
    after = query.after if query.after >= 0 else None
    return page.render(
        "jobs/job.html",
        part="jobs/_results.html",
        job=job,
        title=LABELS.jobs[job.kind],
        rows=rows,
        names=await page.services.jobs.names(rows),
        can_undo=can_be_undone(job) and job.user_id == page.user.id,
        of_enrollments=job.kind in _OF_ENROLLMENTS,
        codes=query.code,
        following=address(path, code=query.code, after=rows[-1].position) if more else None,
        first=None if after is None else address(path, code=query.code),
        asked=address(path, code=query.code, after=after),
    )


@router.get("/jobs/{job_id}/bad-rows")
async def download_bad_rows(page: PageDep, job_id: UUID) -> StreamingResponse:
    """Download the invalid rows of a file as a CSV file, each with its error."""
    pieces = await page.services.exporting.bad_rows(job_id, page.user.id)
    return CsvFile.named("bad-rows", pieces)


@router.get("/jobs/{job_id}/progress")
async def show_progress(page: PageDep, job_id: UUID) -> Response:
    """Show a job's progress; the page asks every second until it has ended."""
    return _progress(page, await page.services.jobs.get(job_id))


@router.post("/jobs/{job_id}/cancel")
async def cancel_job(page: PageDep, job_id: UUID) -> Response:
    """Cancel the rows of a job that have not begun."""
    return _progress(page, await page.services.jobs.cancel(job_id, page.user.id))


@router.post("/jobs/{job_id}/undo")
async def undo_job(page: PageDep, job_id: UUID) -> Response:
    """Take back what a job of one's own changed; on very many, in the background."""
    undone = await page.services.contact_actions.undo(job_id, page.user.id)
    if not undone.state.is_final:
        return page.redirect_to("show_job", job_id=undone.id)
    return page.done(done_words(page, undone), event=PageEvent.CONTACTS_CHANGED)


def _progress(page: Page, job: JobDetails) -> Response:
    event = PageEvent.JOB_ENDED if job.state.is_final else None
    return page.part("jobs/_progress.html", job=job, event=event)
