"""Importing opted-out numbers from a CSV file: looked at first, then done, in the background."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.forms import NO_ERRORS, FormErrors
from api.pages.jobs import bad_rows, job_of
from api.pages.page import Page, PageDep
from api.pages.uploads import FIELDS_MOST, pieces, typed
from domain.platform.errors import SegueError
from domain.statuses.jobs import JobKind
from storage.jobs.jobs import JobDetails

IMPORT_PATH = "/settings/opt-outs/import"

router = APIRouter()


@dataclass(frozen=True)
class OptOutImportForm:
    """What was asked for, besides the file.

    Attributes:
        reason: Of rows that give none of their own.
        region: The country of numbers without a country code; empty for the usual one.
    """

    reason: str = ""
    region: str = ""


@router.get(IMPORT_PATH)
async def show_opt_out_import(page: PageDep) -> Response:
    """Ask for the file."""
    return _render(page, OptOutImportForm())


@router.post(IMPORT_PATH)
async def import_opt_outs(page: PageDep, request: Request) -> Response:
    """Look at a file, or take it; either way in the background, once the file is here."""
    async with request.form(max_files=1, max_fields=FIELDS_MOST) as sent:
        form = OptOutImportForm(typed(sent, "reason"), typed(sent, "region"))
        try:
            job = await _start(page, form, sent)
        except SegueError as error:
            return _render(page, form, errors=FormErrors.of(error, body="file"))
    if not page.wants_part:
        return page.redirect(page.path_to("show_job", job_id=job.id))
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
    """Show what would come of a file, or did: how many rows of each kind, and the bad ones."""
    job = await job_of(page, job_id, JobKind.IMPORT_SUPPRESSIONS)
    bad, more = await bad_rows(page, job_id)
    return page.part("opt_outs/_import_found.html", job=job, bad=bad, more=more)


def _render(
    page: Page,
    form: OptOutImportForm,
    *,
    job: JobDetails | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    return page.render(
        "opt_outs/import.html",
        part="opt_outs/_import_form.html",
        form=form,
        job=job,
        errors=errors,
        usual_region=page.services.config.default_region,
    )
