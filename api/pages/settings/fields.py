"""Settings > Fields: the workspace's own facts about contacts."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.forms import FormFields, chosen
from api.pages.labels import LABELS
from api.pages.page import InForm, Page, PageDep, PageEvent
from domain.contacts.fields import MAX_FIELDS
from domain.statuses.contacts import FieldType
from storage.contacts.fields import FieldDetails

router = APIRouter()


class FieldForm(FormFields):
    """A field as typed."""

    label: str = ""
    key: str = ""
    type: str = FieldType.TEXT


@router.get("/settings/fields")
async def show_fields(page: PageDep) -> Response:
    """Show all fields."""
    fields = await page.services.fields.all()
    return page.render(
        "settings/fields.html", part="settings/_fields.html", fields=fields, most=MAX_FIELDS
    )


@router.get("/settings/fields/new")
async def new_field(page: PageDep) -> Response:
    """Show the dialog of a new field."""
    return _ask(page, FieldForm())


@router.post("/settings/fields")
async def create_field(page: PageDep, form: InForm[FieldForm]) -> Response:
    """Add a field."""
    with page.refusing():
        made = await add_field(page, form)
        return page.done(f"{made.label} added.", event=PageEvent.FIELDS_CHANGED)
    return _ask(page, form)


@router.get("/settings/fields/{field_id}/edit")
async def edit_field(page: PageDep, field_id: UUID) -> Response:
    """Show the dialog of a field."""
    field = await page.services.fields.get(field_id)
    return _ask(page, FieldForm.model_validate(field), field)


@router.post("/settings/fields/{field_id}")
async def change_field(page: PageDep, field_id: UUID, form: InForm[FieldForm]) -> Response:
    """Change a field's label."""
    with page.refusing():
        changed = await page.services.fields.update(field_id, {"label": form.label})
        return page.done(f"{changed.label} saved.", event=PageEvent.FIELDS_CHANGED)
    return _ask(page, form, await page.services.fields.get(field_id))


@router.get("/settings/fields/{field_id}/delete", dependencies=[AdminOnly])
async def confirm_field_deletion(page: PageDep, field_id: UUID) -> Response:
    """Ask before deleting a field with all its values."""
    field = await page.services.fields.get(field_id)
    return page.part("settings/_field_delete.html", field=field)


@router.post("/settings/fields/{field_id}/delete", dependencies=[AdminOnly])
async def delete_field(page: PageDep, field_id: UUID) -> Response:
    """Delete a field, unless a text needs it."""
    field = await page.services.fields.get(field_id)
    with page.refusing():
        await page.services.fields.remove(field_id)
        return page.done(f"{field.label} deleted.", event=PageEvent.FIELDS_CHANGED)
    return page.part("settings/_field_delete.html", field=field)


def _ask(page: Page, form: FieldForm, field: FieldDetails | None = None) -> Response:
    change = page.path_to("change_field", field_id=field.id) if field else None
    return ask_field(page, form, field, action=change or page.path_to("create_field"))


def ask_field(
    page: Page,
    form: FieldForm,
    field: FieldDetails | None = None,
    *,
    action: str,
    including: str = "",
) -> Response:
    """Show the dialog of a field, sent to ``action`` with the inputs of ``including``."""
    types = [(one.value, words) for one, words in LABELS.field_types.items()]
    template = "settings/_field_form.html"
    return page.part(
        template, form=form, field=field, types=types, action=action, including=including
    )


async def add_field(page: Page, form: FieldForm) -> FieldDetails:
    """Add a field as typed.

    Raises:
        SegueError: As ``Fields.create``, or there is no such type.
    """
    type_ = chosen(FieldType, form.type, field="type")
    return await page.services.fields.create(form.key.strip(), form.label.strip(), type_)
