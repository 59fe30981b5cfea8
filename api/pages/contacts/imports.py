"""Importing contacts from a CSV file in the background: a check first, then the import."""

from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.pages.choices import group_options
from api.pages.forms import chosen_id
from api.pages.jobs import import_result
from api.pages.page import Page, PageDep
from api.pages.uploads import FIELDS_MOST, pieces, typed
from domain.platform.errors import SegueError
from domain.statuses.jobs import JobKind
from storage.jobs.jobs import JobDetails

IMPORT_PATH = "/contacts/import"

router = APIRouter()


@dataclass(frozen=True)
class ImportForm:
    """The import's options.

    Attributes:
        group_id: The group for everyone in the file; empty for none.
        new_group: The name of a new group for them; empty for none.
        region: The country of numbers without a country code; empty for the default.
    """

    group_id: str = ""
    new_group: str = ""
    region: str = ""


@router.get(IMPORT_PATH)
async def show_import(page: PageDep) -> Response:
    """Show the form of an import."""
    return await _render(page, ImportForm())


@router.post(IMPORT_PATH)
async def import_contacts(page: PageDep, request: Request) -> Response:
    """Receive a file, then check or import it in the background."""
    async with request.form(max_files=1, max_fields=FIELDS_MOST) as sent:
        form = ImportForm(typed(sent, "group_id"), typed(sent, "new_group"), typed(sent, "region"))
        try:
            job = await _start(page, form, sent)
        except SegueError as error:
            page.refuse(error, body="file", name="new_group")
            return await _render(page, form)
    if not page.wants_part:
        return page.redirect_to("show_job", job_id=job.id)
    return await _render(page, form, job=job)


async def _start(page: Page, form: ImportForm, sent: FormData) -> JobDetails:
    services = page.services
    is_check = typed(sent, "mode") != "import"
    wrong_group = "is no group; choose one of the list"
    job_id = await services.importing.receive(
        pieces(sent),
        page.user.id,
        dry_run=is_check,
        group_id=chosen_id(form.group_id, field="group_id", reason=wrong_group)
        if form.group_id
        else None,
        region=form.region or None,
    )
    if is_check or not form.new_group:
        return await services.importing.start(job_id, page.user.id)
    # Not before the file is here: a group without its file would block another try.
    try:
        group = await services.groups.create(form.new_group)
    except SegueError:
        await services.importing.discard(job_id)
        raise
    return await services.importing.start(job_id, page.user.id, group_id=group.id)


@router.get("/contacts/import/{job_id}")
async def show_import_result(page: PageDep, job_id: UUID) -> Response:
    """Show the counts of a checked or imported file, and its invalid rows."""
    return await import_result(page, job_id, JobKind.IMPORT_CONTACTS, "contacts/_import_found.html")


async def _render(page: Page, form: ImportForm, *, job: JobDetails | None = None) -> Response:
    return page.render(
        "contacts/import.html",
        part="contacts/_import_form.html",
        form=form,
        job=job,
        group_options=await group_options(page),
        usual_region=page.services.config.default_region,
    )
