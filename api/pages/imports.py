"""Importing contacts or opted-out numbers from a CSV file, step by step.

A file is uploaded, its columns are matched, bad rows corrected, and then it is imported.
"""

from collections.abc import AsyncIterator, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from api.pages.countries import COUNTRIES
from api.pages.forms import FormFields, chosen, chosen_id
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.settings.fields import FieldForm, add_field, ask_field
from api.paging import FilterQuery, InQuery
from domain.contacts.names import full_name
from domain.jobs.csv_rows import PIECE
from domain.platform.errors import InvalidFieldError, NotFoundError
from domain.statuses.contacts import OtherName
from domain.statuses.jobs import JobKind
from services.jobs.contact_import import own_column
from services.jobs.csv_upload import COLUMNS_MOST, INVALID
from services.jobs.import_review import Choices, FileInHand, not_checked
from storage.jobs.import_review import NamedRow
from storage.jobs.jobs import JobDetails

CONTACTS_PATH = "/contacts/import"
OPT_OUTS_PATH = "/settings/opt-outs/import"

router = APIRouter()

NEW_FIELD = "new"
"""What a column holds whose field is yet to be added."""

_PARTS_MOST = 10
_BAD_ROWS = 20
_VALUES_MOST = 100
_NAMES = ("first_name", "last_name", "full_name")
_ENCODINGS = {"utf-8": "UTF-8", "cp1252": "Windows-1252"}
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class _Kind:
    """What an import is of: the folder of its templates, the page of its upload, its words."""

    folder: str
    upload: str
    title: str


_KINDS: Mapping[JobKind, _Kind] = {
    JobKind.IMPORT_CONTACTS: _Kind("contacts", "show_import", "Import contacts"),
    JobKind.IMPORT_SUPPRESSIONS: _Kind("opt_outs", "show_opt_out_import", "Import opt-outs"),
}


class ChoiceFields(FormFields):
    """What the columns of a file hold, in their order, and what is done with its rows."""

    column: Annotated[list[str], Field(max_length=COLUMNS_MOST)] = Field(default_factory=list)
    region: str = ""
    update_existing: bool = False
    other_names: str = OtherName.SKIP.value
    group_id: str = ""
    new_group: str = ""
    reason: str = ""
    confirm: str = ""
    """The check whose result a person confirms."""

    def columns(self, words: Mapping[str, str]) -> Mapping[str, int]:
        """Return the position of each field; ``words`` are their labels.

        Raises:
            InvalidFieldError: Two columns hold the same, one that is needed is missing, or the
                field of one is not added yet.
        """
        at: dict[str, int] = {}
        for index, name in enumerate(self.column):
            if name == NEW_FIELD:
                raise InvalidFieldError(
                    "columns", "A column is to be a new field: add the field, or ignore the column"
                )
            if name in at:
                called = words.get(name, name)
                raise InvalidFieldError(
                    "columns", f"Two columns hold “{called}”. Ignore one of them"
                )
            if name:
                at[name] = index
        if "phone" not in at:
            raise InvalidFieldError("columns", "Choose which column holds the phone numbers")
        return at

    def choices(self, page: Page) -> Choices:
        """Return the choices as the service takes them."""
        group_id = None
        if self.group_id:
            wrong = "is not a group; choose one from the list"
            group_id = chosen_id(self.group_id, field="group_id", reason=wrong)
        return Choices(
            region=self.region or page.services.config.default_region,
            update_existing=self.update_existing,
            other_names=chosen(OtherName, self.other_names, field="other_names"),
            group_id=group_id,
            new_group=self.new_group,
            reason=self.reason,
        )


class FoundQuery(FilterQuery):
    """The rows after a line: ``after`` of bad ones, ``named_after`` of those with another name."""

    after: Annotated[int, Field(ge=-1, le=2**31 - 1)] = -1
    named_after: Annotated[int, Field(ge=-1, le=2**31 - 1)] = -1


class RowFields(FormFields):
    """Values of a row: the names of the fields, and as many values."""

    field: Annotated[list[str], Field(max_length=_VALUES_MOST)] = Field(default_factory=list)
    value: Annotated[list[str], Field(max_length=_VALUES_MOST)] = Field(default_factory=list)


class ColumnFieldForm(FieldForm):
    """A field as typed, and what the columns of the file hold."""

    column: Annotated[list[str], Field(max_length=COLUMNS_MOST)] = Field(default_factory=list)


class NameFields(FormFields):
    """What is done with a row whose number is that of a contact with another name."""

    other_name: str = ""


@router.get(CONTACTS_PATH)
async def show_import(page: PageDep) -> Response:
    """Show the form of a file of contacts."""
    return await _upload_form(page, JobKind.IMPORT_CONTACTS)


@router.get(OPT_OUTS_PATH)
async def show_opt_out_import(page: PageDep) -> Response:
    """Show the form of a file of opted-out numbers."""
    return await _upload_form(page, JobKind.IMPORT_SUPPRESSIONS)


@router.post(CONTACTS_PATH)
async def import_contacts(page: PageDep) -> Response:
    """Receive a file of contacts and redirect to its columns."""
    return await _receive(page, JobKind.IMPORT_CONTACTS)


@router.post(OPT_OUTS_PATH)
async def import_opt_outs(page: PageDep) -> Response:
    """Receive a file of opted-out numbers and redirect to its columns."""
    return await _receive(page, JobKind.IMPORT_SUPPRESSIONS)


@router.get("/imports/{job_id}")
async def show_import_file(page: PageDep, job_id: UUID) -> Response:
    """Show a file's columns to match; once its import has begun, its progress and result."""
    job = await page.services.jobs.get(job_id)
    kind = _kind_of(job)
    if job.awaits_confirmation:
        file = await page.services.import_review.get(job_id, page.user.id)
        return await _show_file(page, file)
    bad, more = await page.services.jobs.results(job_id, codes=[INVALID], limit=_BAD_ROWS)
    return page.render(
        "imports/job.html",
        part="imports/_result.html",
        job=job,
        kind=kind,
        bad=bad,
        more=more,
    )


@router.post("/imports/{job_id}/check")
async def check_import_file(page: PageDep, job_id: UUID, form: InForm[ChoiceFields]) -> Response:
    """Check the rows of a file in the background; nothing is imported.

    If a column is to be a new field, ask for that first.
    """
    file = await page.services.import_review.get(job_id, page.user.id)
    if NEW_FIELD in form.column[: len(file.headings)] and _takes_fields(page, file):
        at = form.column.index(NEW_FIELD)
        response = _ask_field(page, file, at + 1, FieldForm(label=file.headings[at].text))
        response.headers.update({"HX-Retarget": "#dialog", "HX-Reswap": "innerHTML"})
        return response
    with page.refusing():
        columns = _columns(file, form)
        check = await page.services.import_review.check(
            job_id, page.user.id, columns, form.choices(page)
        )
        return page.part("imports/_checking.html", file=file, check=check)
    return page.part("imports/_wrong.html")


@router.post("/imports/{job_id}/columns/{number}/field")
async def add_import_field(
    page: PageDep, job_id: UUID, number: int, form: InForm[ColumnFieldForm]
) -> Response:
    """Add a field that a column of a file holds, from 1; what the others hold is kept."""
    file = await page.services.import_review.get(job_id, page.user.id)
    if not 1 <= number <= len(file.headings) or not _takes_fields(page, file):
        raise NotFoundError("column", number)
    with page.refusing():
        made = await add_field(page, form)
        file = await page.services.import_review.get(job_id, page.user.id)
        held = _held(file, form.column)
        held[number - 1] = own_column(made.key)
        return page.done(
            f"{made.label} added.",
            event=PageEvent.FIELDS_CHANGED,
            beside="imports/_columns.html",
            is_swapped=True,
            file=file,
            held=held,
            column_options=_column_options(page, file),
        )
    return _ask_field(page, file, number, form)


@router.get("/imports/{job_id}/found")
async def show_import_found(page: PageDep, job_id: UUID, query: InQuery[FoundQuery]) -> Response:
    """Show what the check of a file found, and the rows to decide on or correct."""
    review, user_id = page.services.import_review, page.user.id
    found = await _found(page, await review.get(job_id, user_id))
    if query.named_after < 0:
        found["bad"], found["more"] = await review.bad_rows(
            job_id, user_id, after=query.after, limit=_BAD_ROWS
        )
    if query.after < 0:
        found["named"], found["more_named"] = await review.named_rows(
            job_id, user_id, after=query.named_after, limit=_BAD_ROWS
        )
    if query.after < 0 and query.named_after < 0:
        return page.part("imports/_found.html", **found)
    part = "_bad_rows" if query.named_after < 0 else "_named_rows"
    return page.part(f"imports/{part}.html", **found)


@router.post("/imports/{job_id}/rows/{line}")
async def correct_import_row(
    page: PageDep, job_id: UUID, line: int, form: InForm[RowFields]
) -> Response:
    """Change values of a row that cannot be imported, and check it again."""
    values = dict(zip(form.field, form.value, strict=False))
    row = await page.services.import_review.correct(job_id, page.user.id, line, values)
    file = await page.services.import_review.get(job_id, page.user.id)
    return page.part("imports/_corrected.html", row=row, line=line, **await _found(page, file))


@router.post("/imports/{job_id}/rows/{line}/name")
async def choose_import_name(
    page: PageDep, job_id: UUID, line: int, form: InForm[NameFields]
) -> Response:
    """Choose what is done with a row whose number is that of a contact with another name."""
    choice = chosen(OtherName, form.other_name, field="other_name")
    row = await page.services.import_review.choose_name(job_id, page.user.id, line, choice)
    file = await page.services.import_review.get(job_id, page.user.id)
    return page.part("imports/_corrected.html", row=row, line=line, **await _found(page, file))


@router.post("/imports/{job_id}/discard")
async def discard_import_file(page: PageDep, job_id: UUID) -> Response:
    """Delete a file that is not imported."""
    kind = _kind_of(await page.services.jobs.get(job_id))
    await page.services.import_review.discard(job_id, page.user.id)
    return page.redirect_to(kind.upload, "File discarded.")


@router.post("/imports/{job_id}")
async def confirm_import(page: PageDep, job_id: UUID, form: InForm[ChoiceFields]) -> Response:
    """Import a file in the background, and redirect to its progress."""
    file = await page.services.import_review.get(job_id, page.user.id)
    with page.refusing():
        columns = _columns(file, form)
        choices = form.choices(page)
        if not form.confirm:
            raise not_checked()
        check_id = chosen_id(form.confirm, field="confirm", reason="is no check of a file")
        await page.services.import_review.confirm(
            job_id, page.user.id, columns, choices, check_id=check_id
        )
        return page.redirect_to("show_import_file", job_id=job_id)
    return await _show_file(page, file, form)


async def _upload_form(page: Page, kind: JobKind) -> Response:
    return page.render(
        f"{_KINDS[kind].folder}/import.html",
        part="imports/_upload.html",
        kind=_KINDS[kind],
        waiting=await page.services.import_review.waiting(kind, page.user.id),
    )


async def _receive(page: Page, kind: JobKind) -> Response:
    async with page.request.form(max_files=1, max_fields=_PARTS_MOST) as sent:
        with page.refusing(body="file"):
            job_id = await page.services.import_review.receive(kind, _pieces(sent), page.user.id)
            return page.redirect_to("show_import_file", job_id=job_id)
    return await _upload_form(page, kind)


async def _show_file(page: Page, file: FileInHand, form: ChoiceFields | None = None) -> Response:
    usual = page.services.config.default_region
    return page.render(
        "imports/file.html",
        file=file,
        kind=_KINDS[file.job.kind],
        form=form or ChoiceFields(region=usual),
        is_swapped=False,
        held=_held(file, form.column if form else []),
        column_options=_column_options(page, file),
        read_as=_read_as(file),
        group_options=await page.group_options(),
        countries=COUNTRIES,
    )


def _held(file: FileInHand, chosen: Many[str]) -> list[str]:
    """Return what each column holds: as chosen, or else as known or guessed."""
    known = [one.field or "" for one in file.headings]
    return list(chosen) if len(chosen) == len(known) else known


def _column_options(page: Page, file: FileInHand) -> list[tuple[str, str]]:
    """Return what a column may hold, a new field last."""
    new = [(NEW_FIELD, "New field …")] if _takes_fields(page, file) else []
    return [("", "Ignore"), *_words(file).items(), *new]


def _takes_fields(page: Page, file: FileInHand) -> bool:
    return file.job.kind is JobKind.IMPORT_CONTACTS and page.may("add_import_field")


def _ask_field(page: Page, file: FileInHand, number: int, form: FieldForm) -> Response:
    action = page.path_to("add_import_field", job_id=file.job.id, number=number)
    return ask_field(page, form, action=action, including="#import-form")


def _columns(file: FileInHand, form: ChoiceFields) -> Mapping[str, int]:
    """Return the position of each field.

    Raises:
        InvalidFieldError: As ``ChoiceFields.columns``.
    """
    columns = form.columns(_words(file))
    if file.job.kind is JobKind.IMPORT_CONTACTS and not columns.keys() & set(_NAMES):
        raise InvalidFieldError(
            "columns", "Choose which column holds the names: first, last or full name"
        )
    return columns


async def _found(page: Page, file: FileInHand) -> dict[str, Any]:
    """Return what the templates of a check's result need besides the rows."""
    if file.check_id is None:
        raise NotFoundError("check of the file", file.job.id)
    return {
        "file": file,
        "job": await page.services.jobs.get(file.check_id),
        "kind": _KINDS[file.job.kind],
        "column_words": _words(file),
        "input_of": _input_of,
        "name_in": _name_in,
        "is_named": lambda row: isinstance(row, NamedRow),
    }


def _name_in(values: Mapping[str, str]) -> str:
    """Return the name in a row; empty if there is none."""
    first, last = values.get("first_name", "").strip(), values.get("last_name", "").strip()
    return full_name(first, last) or values.get("full_name", "").strip()


def _input_of(field: str, values: Mapping[str, str]) -> str:
    """Return the column in which a wrong field can be corrected; empty if there is none."""
    if field in values or field not in _NAMES:
        return field if field in values else ""
    return next((name for name in reversed(_NAMES) if name in values), "")


def _words(file: FileInHand) -> dict[str, str]:
    """Return the labels of what a column may hold."""
    return {name: label or LABELS.columns[name] for name, label in file.offered.items()}


def _read_as(file: FileInHand) -> str:
    """Say how a file was read, so that strange letters can be explained."""
    encoding = _ENCODINGS.get(file.encoding or "utf-8", "UTF-16")
    return f"{encoding}, separated by {_DELIMITERS[file.delimiter]}"


def _kind_of(job: JobDetails) -> _Kind:
    if job.kind not in _KINDS:
        raise NotFoundError("import", job.id)
    return _KINDS[job.kind]


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
