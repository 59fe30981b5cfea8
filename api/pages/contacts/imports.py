"""Importing contacts from a CSV file: looked at first, then done, row by row in the background."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile
from starlette.responses import Response

from api.exports import CsvFile
from api.pages.contacts.index import group_options
from api.pages.forms import NO_ERRORS, FormErrors
from api.pages.page import Page, PageDep
from domain.csv_rows import PIECE
from domain.errors import InvalidFieldError, SegueError
from services.importing import INVALID
from services.jobs import JobDetails

IMPORT_PATH = "/contacts/import"

router = APIRouter()

_SHOWN = 20
_FIELDS_MOST = 10


@dataclass(frozen=True)
class ImportForm:
    """What was asked for; the file is read as it comes.

    Attributes:
        file: What was chosen; None if nothing was.
        group_id: The group to put everyone of the file into; empty for none.
        new_group: The name of a group to be made for them; empty for none.
        region: The country of numbers without a country code; empty for the usual one.
        is_check: Whether only to look at the file.
    """

    file: UploadFile | None = None
    group_id: str = ""
    new_group: str = ""
    region: str = ""
    is_check: bool = True

    async def pieces(self) -> AsyncIterator[bytes]:
        """Read the file.

        Raises:
            InvalidFieldError: None was chosen.
        """
        if self.file is None or not self.file.filename:
            raise InvalidFieldError("file", "is missing; choose one")
        while piece := await self.file.read(PIECE):
            yield piece


@router.get(IMPORT_PATH)
async def show_import(page: PageDep) -> Response:
    """Ask for the file."""
    return await _render(page, ImportForm())


@router.post(IMPORT_PATH)
async def import_contacts(page: PageDep, request: Request) -> Response:
    """Look at a file, or take it; either way in the background, once the file is here."""
    async with request.form(max_files=1, max_fields=_FIELDS_MOST) as sent:
        file = sent.get("file")
        typed = {
            name: str(sent.get(name, "")).strip() for name in ("group_id", "new_group", "region")
        }
        form = ImportForm(
            file=file if isinstance(file, UploadFile) else None,
            group_id=typed["group_id"],
            new_group=typed["new_group"],
            region=typed["region"],
            is_check=sent.get("mode") != "import",
        )
        try:
            job = await _start(page, form)
        except SegueError as error:
            errors = FormErrors.of(error, body="file", name="new_group")
            return await _render(page, form, errors=errors)
    if not page.wants_part:
        return page.redirect(page.path_to("show_job", job_id=job.id))
    return await _render(page, form, job=job)


async def _start(page: Page, form: ImportForm) -> JobDetails:
    services = page.services
    group_id = UUID(form.group_id) if form.group_id else None
    if form.new_group and not form.is_check:
        group_id = (await services.groups.create(form.new_group)).id
    job_id = await services.importing.receive(
        form.pieces(),
        page.user.id,
        dry_run=form.is_check,
        group_id=group_id,
        region=form.region or None,
    )
    return await services.importing.start(job_id, page.user.id)


@router.get("/contacts/import/{job_id}")
async def show_import_result(page: PageDep, job_id: UUID) -> Response:
    """Show what would come of a file, or did: how many rows of each kind, and the bad ones."""
    job = await page.services.jobs.get(job_id)
    bad, more = await page.services.jobs.results(job_id, codes=[INVALID], limit=_SHOWN)
    return page.part("contacts/_import_found.html", job=job, bad=bad, more=more)


@router.get("/contacts/import/{job_id}/bad-rows")
async def download_bad_rows(page: PageDep, job_id: UUID) -> StreamingResponse:
    """Give the rows that cannot be taken, each with what is wrong, as a CSV file."""
    pieces = await page.services.exporting.bad_rows(job_id, page.user.id)
    return CsvFile.named("bad-rows", pieces)


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
        group_options=[("", "No group"), *await group_options(page)],
        usual_region=page.services.config.default_region,
    )
