"""Enrolling into a sequence: choosing people, a preview, and the result."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, File, Form, UploadFile
from pydantic import Field, model_validator
from starlette.responses import Response

from api.contacts import ContactFilter
from api.dependencies import Sends
from api.pages.forms import FormFields, chosen_id
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep
from api.pages.sequences.frame import OPEN_STATES, render_tab
from api.paging import InQuery
from domain.jobs.csv_rows import PIECE
from domain.platform.errors import (
    ConflictError,
    InvalidFieldError,
    InvalidRequestError,
    NotFoundError,
)
from domain.sequences.texts import keys_in
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.jobs import JobKind
from services.jobs.contact_import import columns_on_offer
from services.jobs.enroll_preview import EnrollPreview, FilePreview, PredictedRow, Prediction
from storage.contacts import contacts as stored
from storage.jobs.jobs import JobDetails
from storage.sequences.sequences import SequenceRecord

router = APIRouter()

UPLOAD_PATH = "/enrol/file"
"""The address of uploads; one for all sequences, because it accepts larger bodies than the rest."""

_PICKED_MOST = 200
_FILTERS_MOST = 300
_REPEATED = {"contact", "group", "phone", "external_id", "owner"}
_VARIABLE = "variable."
_AT_ONCE = timedelta(minutes=1)
_TEXTED = (Prediction.NEW, Prediction.NEW_CONTACT, Prediction.UNKNOWN_NUMBER)
"""Rows that will get texts; unknown numbers do if they are added as contacts."""


class Way(StrEnum):
    """How to choose people."""

    CONTACTS = "contacts"
    GROUP = "group"
    NUMBERS = "numbers"
    FILE = "file"
    LIST = "list"
    IMPORT = "import"


_OFFERED = (Way.CONTACTS, Way.GROUP, Way.NUMBERS, Way.FILE)
"""The ways that the page offers; other pages lead to the others."""


class EnrollQuery(FormFields):
    """How to choose people, and those already chosen elsewhere.

    Attributes:
        matching: The filters of the list of contacts that they were selected in, as a query.
        job_id: The import that is done.
    """

    way: Way = Way.CONTACTS
    contact: list[UUID] = Field(default_factory=list, max_length=_PICKED_MOST)
    group_id: str = ""
    matching: str = ""
    job_id: UUID | None = None


class EnrollFields(FormFields):
    """The people to enroll; only the fields of ``way`` count.

    ``previewed`` is how many the preview named. ``job_id`` is the upload of a file, or its import
    once that is done; ``variables`` are those sent as ``variable.KEY``.
    """

    way: Way = Way.CONTACTS
    contact_id: list[UUID] = Field(default_factory=list)
    group_id: str = ""
    numbers: str = ""
    add_unknown: bool = False
    matching: str = ""
    job_id: UUID | None = None
    variables: dict[str, str] = Field(default_factory=dict)
    previewed: int | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather_variables(cls, given: Any) -> Any:  # noqa: ANN401 - a form
        return {**given, "variables": _variables_in(given)} if isinstance(given, Mapping) else given


@router.get("/sequences/{sequence_id}/enrol")
async def show_enroll(page: PageDep, sequence_id: UUID, query: InQuery[EnrollQuery]) -> Response:
    """Show the form."""
    sequence = await page.services.sequences.get(sequence_id)
    is_open = sequence.state in OPEN_STATES
    picked: list[PredictedRow] = []
    if query.contact and is_open:
        found = await page.services.enroll_previews.of_contacts(sequence_id, query.contact)
        picked = [row for row in found.rows if row.outcome is not Prediction.UNKNOWN_CONTACT]
    variables = await _variables_of(page, sequence)
    return await render_tab(
        page,
        sequence,
        "sequences/enroll.html",
        is_open=is_open,
        query=query,
        way=query.way,
        ways=[
            (LABELS.ways[way], f"{page.request.url.path}?way={way}", way == query.way)
            for way in dict.fromkeys((*_OFFERED, query.way))
        ],
        is_chosen=bool(picked or query.group_id or query.matching or query.job_id),
        picked=picked,
        variables=[(key, _words(key)) for key in variables],
        group_options=await page.group_options() if query.way is Way.GROUP else [],
        upload_path=f"{page.path_to('upload_people')}?sequence_id={sequence_id}",
    )


@router.get("/sequences/{sequence_id}/enrol/people")
async def find_people_to_enroll(page: PageDep, sequence_id: UUID, search: str = "") -> Response:
    """Find contacts to pick."""
    found = await page.services.pickers.contacts(search, sequence_id=sequence_id)
    return page.part("sequences/_enroll_people.html", people=found, search=search)


@router.post("/sequences/{sequence_id}/enrol/check", dependencies=[Sends])
async def check_people(page: PageDep, sequence_id: UUID, form: InForm[EnrollFields]) -> Response:
    """Preview an enrollment without doing anything."""
    try:
        preview = await _preview(page, sequence_id, form)
    except (InvalidFieldError, InvalidRequestError) as error:
        return _wrong(page, error)
    return await _summary(page, sequence_id, form.way, preview)


@router.post(UPLOAD_PATH, dependencies=[Sends])
async def upload_people(
    page: PageDep,
    sequence_id: UUID,
    file: Annotated[UploadFile | None, File()] = None,
    column: Annotated[list[str] | None, Form()] = None,
    previous: InForm[str] = "",
) -> Response:
    """Receive a CSV file and preview its enrollment; only the upload is stored."""
    await _discard(page, previous)
    variables = _variables_in(await page.request.form())
    try:
        found = await page.services.enroll_previews.of_file(
            sequence_id, _pieces(file), page.user.id, variables, columns=_columns(column)
        )
    except (InvalidFieldError, InvalidRequestError) as error:
        return _wrong(page, error)
    name = file.filename if file is not None and file.filename else "The file"
    return await _summary(page, sequence_id, Way.FILE, found.preview, file=found, file_name=name)


@router.post("/sequences/{sequence_id}/enrol", dependencies=[Sends])
async def enroll_people(page: PageDep, sequence_id: UUID, form: InForm[EnrollFields]) -> Response:
    """Enroll people in the background."""
    try:
        job = await _start(page, sequence_id, form)
    except (InvalidFieldError, InvalidRequestError) as error:
        return _wrong(page, error)
    except ConflictError as error:
        if error.conflict != "more_match":
            raise
        page.refuse(error)
        return await _summary(page, sequence_id, form.way, await _preview(page, sequence_id, form))
    return page.redirect_to("show_enrolling", sequence_id=sequence_id, job_id=job.id)


@router.get("/sequences/{sequence_id}/enrol/{job_id}")
async def show_enrolling(page: PageDep, sequence_id: UUID, job_id: UUID) -> Response:
    """Show the progress, then the result."""
    job = await page.services.jobs.get(job_id)
    importing = job if job.kind is JobKind.IMPORT_CONTACTS else None
    enrolling: JobDetails | None = job
    if importing is not None:
        following = importing.about.get("enrolling_id")
        enrolling = await page.services.jobs.get(UUID(following)) if following else None
    elif "import_id" in job.about:
        importing = await page.services.jobs.get(UUID(job.about["import_id"]))
    about = importing.about.get("enrol_into") if importing and not enrolling else None
    of_sequence = enrolling.about.get("sequence_id") if enrolling else about
    if of_sequence != str(sequence_id):
        raise NotFoundError("job", job_id)
    statuses = (
        await page.services.jobs.enrolled_by_status(enrolling.id)
        if enrolling and enrolling.state.is_final
        else {}
    )
    return await render_tab(
        page,
        sequence_id,
        "sequences/enrolling.html",
        part="sequences/_enrolling.html",
        importing=importing,
        enrolling=enrolling,
        by_status=[(status, statuses[status]) for status in EnrollmentStatus if status in statuses],
        unconsented=await page.services.jobs.awaiting_consent(enrolling.id)
        if enrolling and EnrollmentStatus.ACTIVE in statuses
        else 0,
        not_enrolled=_why_not(importing) if importing and not enrolling else "",
    )


async def _preview(page: Page, sequence_id: UUID, form: EnrollFields) -> EnrollPreview:
    previews, variables = page.services.enroll_previews, form.variables
    match form.way:
        case Way.CONTACTS:
            return await previews.of_contacts(sequence_id, form.contact_id, variables)
        case Way.GROUP:
            group_id = chosen_id(form.group_id, field="group_id")
            return await previews.of_group(sequence_id, group_id, variables)
        case Way.NUMBERS:
            return await previews.of_numbers(sequence_id, form.numbers, variables)
        case Way.LIST:
            return await previews.of_list(sequence_id, _wanted(form.matching), variables)
        case Way.IMPORT:
            return await previews.of_import(sequence_id, _import_of(form), variables)
        case Way.FILE:
            raise InvalidFieldError("body", "is missing; choose a CSV file")


async def _start(page: Page, sequence_id: UUID, form: EnrollFields) -> JobDetails:
    previews = page.services.enroll_previews
    start = partial(
        page.services.jobs.start_enrolling, sequence_id, page.user.id, variables=form.variables
    )
    match form.way:
        case Way.CONTACTS:
            return await start(contact_ids=form.contact_id)
        case Way.GROUP:
            group_id = chosen_id(form.group_id, field="group_id")
            return await start(group_id=group_id, at_most=form.previewed)
        case Way.NUMBERS:
            preview = await previews.of_numbers(sequence_id, form.numbers, form.variables)
            contact_ids = list(preview.contact_ids)
            if form.add_unknown:
                # If we crash after this, the contacts stay; a second try finds them.
                contact_ids += await previews.add_numbers(preview.unknown_numbers)
            return await start(contact_ids=contact_ids)
        case Way.LIST:
            return await start(matching=_wanted(form.matching), at_most=form.previewed)
        case Way.IMPORT:
            return await start(import_id=_import_of(form))
        case Way.FILE:
            return await _start_file(page, sequence_id, form)


async def _start_file(page: Page, sequence_id: UUID, form: EnrollFields) -> JobDetails:
    """Import a file and enroll its people; enroll only, if it is imported already."""
    if form.job_id is None:
        raise InvalidFieldError("body", "is missing; choose a CSV file")
    services, user_id = page.services, page.user.id
    job = await services.jobs.get(form.job_id)
    if job.user_id != user_id or job.kind is not JobKind.IMPORT_CONTACTS:
        raise NotFoundError("import", form.job_id)
    if job.state.is_final:
        return await services.jobs.start_enrolling(
            sequence_id, user_id, import_id=job.id, variables=form.variables
        )
    return await services.importing.start(
        job.id, user_id, enroll_into=sequence_id, variables=form.variables
    )


def _import_of(form: EnrollFields) -> UUID:
    if form.job_id is None:
        raise InvalidFieldError("job_id", "is missing; go back to it and try again")
    return form.job_id


def _wanted(matching: str) -> stored.ContactFilter:
    """Read the filters of the list of contacts from the query that they were in.

    Everybody is chosen by ``everyone=true`` alone, never by a query that filters nothing.
    """
    try:
        given = {
            name: some if name in _REPEATED or name.startswith("field.") else some[0].strip()
            for name, some in parse_qs(matching, max_num_fields=_FILTERS_MOST).items()
        }
        everyone = given.pop("everyone", "") == "true"
        wanted = ContactFilter.model_validate(given).wanted()
    except ValueError:  # so is a ValidationError
        wanted, everyone = ContactFilter().wanted(), False
    if not everyone and wanted == ContactFilter().wanted():
        raise InvalidFieldError(
            "matching", "is no list of contacts; go back to Contacts and select again"
        )
    return wanted


def _variables_in(form: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that a form gives, by key; blank ones are left out."""
    return {
        name.removeprefix(_VARIABLE): value.strip()
        for name, value in form.items()
        if name.startswith(_VARIABLE) and isinstance(value, str) and value.strip()
    }


async def _variables_of(page: Page, sequence: SequenceRecord) -> list[str]:
    """List what a sequence's texts say that is no field of contacts; enrolling gives it."""
    fields = await page.services.pickers.contact_fields()
    return [key for key in keys_in(*(step.body for step in sequence.steps)) if key not in fields]


def _words(key: str) -> str:
    """Write the key of a variable as a label."""
    return key.replace("_", " ").capitalize()


async def _summary(
    page: Page,
    sequence_id: UUID,
    way: Way,
    preview: EnrollPreview | None,
    *,
    file: FilePreview | None = None,
    file_name: str = "",
) -> Response:
    counts: Mapping[Prediction, int] = preview.counts if preview else {}
    labels = await page.services.pickers.contact_fields()
    enrolled = sum(counts.get(one, 0) for one in _TEXTED)
    first_at = await page.services.enrolling.first_text_at(sequence_id)
    offered = columns_on_offer(await page.services.fields.all()) if file else {}
    return page.part(
        "sequences/_enroll_summary.html",
        sequence=await page.services.sequences.get(sequence_id),
        first_at=first_at,
        at_once=first_at is not None and first_at - page.now < _AT_ONCE,
        way=way,
        Prediction=Prediction,
        preview=preview,
        lacking=[
            (labels.get(name) or _words(name), number)
            for name, number in (preview.lacking if preview else {}).items()
        ],
        lacks=lambda row: ", ".join(labels.get(name) or _words(name) for name in row.lacks),
        enrolled=enrolled,
        texted=enrolled - (preview.unconsented if preview else 0),
        left_out={one: counts[one] for one in map(Prediction, LABELS.left_out) if counts.get(one)},
        file=file,
        file_name=file_name,
        missing=[LABELS.columns[name] for name in file.missing] if file else (),
        column_options=[
            ("", "Ignore"),
            *((name, label or LABELS.columns[name]) for name, label in offered.items()),
        ],
        held=file.held if file else (),
        is_swapped=False,
    )


def _wrong(page: Page, error: InvalidFieldError | InvalidRequestError) -> Response:
    page.refuse(error)
    [(field, reason), *_] = page.errors.fields.items()
    kind, _, key = field.partition(".")
    place = _words(key) if kind == "variables" else LABELS.enroll_fields.get(kind, "It")
    return page.part("sequences/_enroll_wrong.html", words=f"{place} {reason}.")


def _why_not(importing: JobDetails) -> str:
    """Say why the people of an imported file are not being enrolled."""
    if not importing.state.is_final:
        return ""
    return LABELS.not_enrolled.get(importing.error or "", "the import did not come to its end")


def _columns(chosen: list[str] | None) -> Mapping[str, int] | None:
    """Return the position of each field; None if nothing was chosen yet."""
    if not chosen:
        return None
    at: dict[str, int] = {}
    for index, name in enumerate(chosen):
        if name in at:
            raise InvalidFieldError(
                "columns", f"have {LABELS.columns.get(name, name)} twice; leave one of them out"
            )
        if name:
            at[name] = index
    return at


async def _discard(page: Page, previous: str) -> None:
    """Discard the user's earlier upload that a new one replaces."""
    try:
        job = await page.services.jobs.get(UUID(previous))
    except (ValueError, NotFoundError):
        return
    if job.user_id == page.user.id:
        await page.services.importing.discard(job.id)


async def _pieces(file: UploadFile | None) -> AsyncIterator[bytes]:
    while file is not None and (piece := await file.read(PIECE)):
        yield piece
