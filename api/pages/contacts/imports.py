"""Importing contacts from a CSV file: looked at first, then done, row by row in the background."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.forms import NO_ERRORS, FormErrors
from api.pages.group_choices import group_options
from api.pages.jobs import bad_rows, job_of
from api.pages.page import Page, PageDep
from api.pages.uploads import FIELDS_MOST, pieces, typed
from domain.platform.errors import InvalidFieldError, SegueError
from domain.statuses.jobs import JobKind
from storage.jobs.jobs import JobDetails

IMPORT_PATH = "/contacts/import"

router = APIRouter()


@dataclass(frozen=True)
class ImportForm:
    """What was asked for, besides the file.

    Attributes:
        group_id: The group to put everyone of the file into; empty for none.
        new_group: The name of a group to be made for them; empty for none.
        region: The country of numbers without a country code; empty for the usual one.
    """

    group_id: str = ""
    new_group: str = ""
    region: str = ""


@router.get(IMPORT_PATH)
async def show_import(page: PageDep) -> Response:
    """Ask for the file."""
    return await _render(page, ImportForm())


@router.post(IMPORT_PATH)
async def import_contacts(page: PageDep, request: Request) -> Response:
    """Look at a file, or take it; either way in the background, once the file is here."""
    async with request.form(max_files=1, max_fields=FIELDS_MOST) as sent:
        form = ImportForm(typed(sent, "group_id"), typed(sent, "new_group"), typed(sent, "region"))
        try:
            job = await _start(page, form, sent)
        except SegueError as error:
            errors = FormErrors.of(error, body="file", name="new_group")
            return await _render(page, form, errors=errors)
    if not page.wants_part:
        return page.redirect(page.path_to("show_job", job_id=job.id))
    return await _render(page, form, job=job)


async def _start(page: Page, form: ImportForm, sent: FormData) -> JobDetails:
    services = page.services
    is_check = typed(sent, "mode") != "import"
    job_id = await services.importing.receive(
        pieces(sent),
        page.user.id,
        dry_run=is_check,
        group_id=_group(form),
        region=form.region or None,
    )
    if is_check or not form.new_group:
        return await services.importing.start(job_id, page.user.id)
    # Only once the file is here: a group that was made for nothing would stand in the way.
    try:
        group = await services.groups.create(form.new_group)
    except SegueError:
        await services.importing.discard(job_id)
        raise
    return await services.importing.start(job_id, page.user.id, group_id=group.id)


def _group(form: ImportForm) -> UUID | None:
    try:
        return UUID(form.group_id) if form.group_id else None
    except ValueError:
        raise InvalidFieldError("group_id", "is no group; choose one of the list") from None


@router.get("/contacts/import/{job_id}")
async def show_import_result(page: PageDep, job_id: UUID) -> Response:
    """Show what would come of a file, or did: how many rows of each kind, and the bad ones."""
    job = await job_of(page, job_id, JobKind.IMPORT_CONTACTS)
    bad, more = await bad_rows(page, job_id)
    return page.part("contacts/_import_found.html", job=job, bad=bad, more=more)


async def _render(
    page: Page,
    form: ImportForm,
    *,
    job: JobDetails | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    return page.render(
        "contacts/import.html",
        part="contacts/_import_form.html",
        form=form,
        job=job,
        errors=errors,
        group_options=await group_options(page),
        usual_region=page.services.config.default_region,
    )
