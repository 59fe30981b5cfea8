"""Importing opted-out numbers from a CSV file in the background: a check first, then the import."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.jobs import import_result
from api.pages.page import Page, PageDep
from api.pages.uploads import FIELDS_MOST, pieces, typed
from domain.platform.errors import SegueError
from domain.statuses.jobs import JobKind
from storage.jobs.jobs import JobDetails

IMPORT_PATH = "/settings/opt-outs/import"

router = APIRouter()


@dataclass(frozen=True)
class OptOutImportForm:
    """The import's options: a reason for rows without one, a country for numbers without a code."""

    reason: str = ""
    region: str = ""


@router.get(IMPORT_PATH)
async def show_opt_out_import(page: PageDep) -> Response:
    """Show the form of an import."""
    return _render(page, OptOutImportForm())


@router.post(IMPORT_PATH)
async def import_opt_outs(page: PageDep, request: Request) -> Response:
    """Receive a file, then check or import it in the background."""
    async with request.form(max_files=1, max_fields=FIELDS_MOST) as sent:
        form = OptOutImportForm(typed(sent, "reason"), typed(sent, "region"))
        try:
            job = await _start(page, form, sent)
        except SegueError as error:
            page.refuse(error, body="file")
            return _render(page, form)
    if not page.wants_part:
        return page.redirect_to("show_job", job_id=job.id)
    return _render(page, form, job=job)


async def _start(page: Page, form: OptOutImportForm, sent: FormData) -> JobDetails:
    uploads = page.services.opt_out_import
    job_id = await uploads.receive(
        pieces(sent),
        page.user.id,
        reason=form.reason,
        dry_run=typed(sent, "mode") != "import",
        region=form.region or None,
    )
    return await uploads.start(job_id, page.user.id)


@router.get("/settings/opt-outs/import/{job_id}")
async def show_opt_out_import_result(page: PageDep, job_id: UUID) -> Response:
    """Show the counts of a checked or imported file, and its invalid rows."""
    return await import_result(
        page, job_id, JobKind.IMPORT_SUPPRESSIONS, "opt_outs/_import_found.html"
    )


def _render(page: Page, form: OptOutImportForm, *, job: JobDetails | None = None) -> Response:
    return page.render(
        "opt_outs/import.html",
        part="opt_outs/_import_form.html",
        form=form,
        job=job,
        usual_region=page.services.config.default_region,
    )
