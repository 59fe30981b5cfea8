"""Work in the background as pages show it: how far it is, what came of it, cancelling it."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.page import Page, PageDep
from services.jobs import JobDetails

router = APIRouter()

JOB_ENDED = "job-ended"
"""What the browser is told when a job on the page has ended, for lists to load anew."""

RESULT_WORDS: Mapping[str, str] = {
    "active": "enrolled",
    "omitted_opted_out": "opted out already",
    "omitted_landline": "a landline",
    "already_active": "enrolled here already",
    "unknown_contact": "no such contact",
    "all_steps_past": "every date is past",
    "finished": "marked as finished",
    "already_final": "had ended already",
    "not_found": "no longer there",
    "added": "added to the group",
    "already_member": "in the group already",
    "paused": "paused",
    "already_paused": "paused already",
    "resumed": "resumed",
    "not_paused": "was not paused",
    "released": "released",
    "not_held": "was not held",
    "awaiting_reply": "had all their texts already",
    "outcome_known": "had their outcome already",
    "created": "added",
    "exists": "known by another name",
    "unchanged": "known already",
    "duplicate_in_file": "twice in the file",
    "invalid": "cannot be taken",
    "canceled": "left alone, as you cancelled",
    "failed": "not done",
}
"""What came of a row, in words; reads on from a number."""


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
