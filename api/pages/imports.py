"""Importing contacts or opted-out numbers from a CSV file: a check first, then the import."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from fastapi import APIRouter
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from api.pages.forms import chosen_id
from api.pages.page import Page, PageDep
from domain.jobs.csv_rows import PIECE
from domain.platform.errors import InvalidFieldError, NotFoundError, SegueError
from domain.statuses.jobs import JobKind
from services.jobs.csv_upload import INVALID
from storage.jobs.jobs import JobDetails

CONTACTS_PATH = "/contacts/import"
OPT_OUTS_PATH = "/settings/opt-outs/import"

router = APIRouter()

_FIELDS_MOST = 10
_BAD_ROWS = 20


@dataclass(frozen=True)
class _Import:
    """What an import is of.

    Attributes:
        folder: Of its templates.
        fields: Texts of the form besides the file; each may be empty.
        start: Stores the file and starts the job.
    """

    kind: JobKind
    folder: str
    fields: tuple[str, ...]
    start: Callable[[Page, FormData, Mapping[str, str]], Awaitable[JobDetails]]


async def _start_contacts(page: Page, sent: FormData, form: Mapping[str, str]) -> JobDetails:
    services = page.services
    group_id = None
    if form["group_id"]:
        wrong = "is no group; choose one of the list"
        group_id = chosen_id(form["group_id"], field="group_id", reason=wrong)
    is_check = _is_check(sent)
    job_id = await services.importing.receive(
        _pieces(sent),
        page.user.id,
        dry_run=is_check,
        update_existing=bool(form["update_existing"]),
        group_id=group_id,
        region=form["region"] or None,
    )
    if is_check or not form["new_group"]:
        return await services.importing.start(job_id, page.user.id)
    # Not before the file is here: a group without its file would block another try.
    try:
        group = await services.groups.create(form["new_group"])
    except SegueError:
        await services.importing.discard(job_id)
        raise
    return await services.importing.start(job_id, page.user.id, group_id=group.id)


async def _start_opt_outs(page: Page, sent: FormData, form: Mapping[str, str]) -> JobDetails:
    uploads = page.services.opt_out_import
    job_id = await uploads.receive(
        _pieces(sent),
        page.user.id,
        reason=form["reason"],
        dry_run=_is_check(sent),
        region=form["region"] or None,
    )
    return await uploads.start(job_id, page.user.id)


_CONTACTS = _Import(
    JobKind.IMPORT_CONTACTS,
    "contacts",
    ("group_id", "new_group", "region", "update_existing"),
    _start_contacts,
)
_OPT_OUTS = _Import(JobKind.IMPORT_SUPPRESSIONS, "opt_outs", ("reason", "region"), _start_opt_outs)


@router.get(CONTACTS_PATH)
async def show_import(page: PageDep) -> Response:
    """Show the form of an import of contacts."""
    return await _render(page, _CONTACTS)


@router.get(OPT_OUTS_PATH)
async def show_opt_out_import(page: PageDep) -> Response:
    """Show the form of an import of opted-out numbers."""
    return await _render(page, _OPT_OUTS)


@router.post(CONTACTS_PATH)
async def import_contacts(page: PageDep) -> Response:
    """Receive a file, then check or import it in the background."""
    return await _receive(page, _CONTACTS)


@router.post(OPT_OUTS_PATH)
async def import_opt_outs(page: PageDep) -> Response:
    """Receive a file, then check or import it in the background."""
    return await _receive(page, _OPT_OUTS)


@router.get("/contacts/import/{job_id}")
async def show_import_result(page: PageDep, job_id: UUID) -> Response:
    """Show the counts of a checked or imported file, and its first invalid rows."""
    return await _result(page, _CONTACTS, job_id)


@router.get("/settings/opt-outs/import/{job_id}")
async def show_opt_out_import_result(page: PageDep, job_id: UUID) -> Response:
    """Show the counts of a checked or imported file, and its first invalid rows."""
    return await _result(page, _OPT_OUTS, job_id)


async def _receive(page: Page, what: _Import) -> Response:
    async with page.request.form(max_files=1, max_fields=_FIELDS_MOST) as sent:
        form = {name: _typed(sent, name) for name in what.fields}
        with page.refusing(body="file", name="new_group"):
            job = await what.start(page, sent, form)
            if not page.wants_part:
                return page.redirect_to("show_job", job_id=job.id)
            return await _render(page, what, form, job)
    return await _render(page, what, form)


async def _render(
    page: Page, what: _Import, form: Mapping[str, str] | None = None, job: JobDetails | None = None
) -> Response:
    return page.render(
        f"{what.folder}/import.html",
        part=f"{what.folder}/_import_form.html",
        form=form or dict.fromkeys(what.fields, ""),
        job=job,
        group_options=await page.group_options() if what is _CONTACTS else [],
        usual_region=page.services.config.default_region,
    )


async def _result(page: Page, what: _Import, job_id: UUID) -> Response:
    job = await page.services.jobs.get(job_id)
    if job.kind is not what.kind:
        raise NotFoundError("job", job_id)
    bad, more = await page.services.jobs.results(job_id, codes=[INVALID], limit=_BAD_ROWS)
    return page.part(f"{what.folder}/_import_found.html", job=job, bad=bad, more=more)


def _is_check(sent: FormData) -> bool:
    return _typed(sent, "mode") != "import"


def _typed(sent: FormData, name: str) -> str:
    value = sent.get(name)
    return value.strip() if isinstance(value, str) else ""


async def _pieces(sent: FormData) -> AsyncIterator[bytes]:
    """Read the file in pieces, never whole.

    Raises:
        InvalidFieldError: No file was chosen.
    """
    file = sent.get("file")
    if not isinstance(file, UploadFile) or not file.filename:
        raise InvalidFieldError("file", "is missing; choose one")
    while piece := await file.read(PIECE):
        yield piece
