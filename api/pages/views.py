"""Saved views of lists: the menu of one's own, and the dialogs that save and change them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import OwnAccount
from api.pages.forms import FormFields, chosen
from api.pages.page import InForm, Page, PageDep, own_path
from api.paging import FilterQuery, InQuery
from services.access.saved_views import QUERY_LENGTH, ViewedList

router = APIRouter()

_Text = Annotated[str, Field(max_length=QUERY_LENGTH)]


class ShownList(FilterQuery):
    """The list that one sees: which it is, its path, and its address's query."""

    page: ViewedList = ViewedList.SEQUENCE_CONTACTS
    path: _Text = "/"
    query: _Text = ""


class ViewForm(FormFields):
    """A view as typed, and the list that one sees; ``replace``: keep that list's query."""

    name: str = ""
    page: str = ViewedList.SEQUENCE_CONTACTS
    path: str = "/"
    query: str = ""
    replace: bool = False


@router.get("/views")
async def show_views(page: PageDep, shown: InQuery[ShownList]) -> Response:
    """Show the menu: one's views of a list, the one that it shows now marked."""
    views = await page.services.saved_views.of(page.user.id, shown.page)
    return page.part("views/_menu.html", views=views, shown=shown, path=own_path(shown.path))


@router.get("/views/new")
async def new_view(page: PageDep, shown: InQuery[ShownList]) -> Response:
    """Show the dialog that saves what a list shows."""
    return _ask(page, ViewForm.model_validate(shown))


@router.post("/views", dependencies=[OwnAccount])
async def save_view(page: PageDep, form: InForm[ViewForm]) -> Response:
    """Save what a list shows."""
    with page.refusing():
        saved = await page.services.saved_views.save(
            page.user.id,
            chosen(ViewedList, form.page, field="page"),
            name=form.name,
            query=form.query,
        )
        return _lead(page, form, saved.query, f"View {saved.name} saved.")
    return _ask(page, form)


@router.get("/views/{view_id}")
async def edit_view(page: PageDep, view_id: UUID, shown: InQuery[ShownList]) -> Response:
    """Show the dialog that renames, changes or deletes a view."""
    view = await page.services.saved_views.get(page.user.id, view_id)
    form = ViewForm(name=view.name, page=shown.page, path=shown.path, query=shown.query)
    return _ask(page, form, view_id)


@router.post("/views/{view_id}", dependencies=[OwnAccount])
async def change_view(page: PageDep, view_id: UUID, form: InForm[ViewForm]) -> Response:
    """Rename a view, or let it show what the list shows now."""
    with page.refusing():
        query = form.query if form.replace else None
        changed = await page.services.saved_views.change(
            page.user.id, view_id, name=form.name, query=query
        )
        return _lead(page, form, form.query, f"View {changed.name} saved.")
    return _ask(page, form, view_id)


@router.post("/views/{view_id}/delete", dependencies=[OwnAccount])
async def delete_view(page: PageDep, view_id: UUID, form: InForm[ViewForm]) -> Response:
    """Delete a view."""
    await page.services.saved_views.remove(page.user.id, view_id)
    return _lead(page, form, form.query, "View deleted.")


def _ask(page: Page, form: ViewForm, view_id: UUID | None = None) -> Response:
    return page.part("views/_form.html", form=form, view_id=view_id)


def _lead(page: Page, form: ViewForm, query: str, message: str) -> Response:
    """Lead back to the list."""
    path = own_path(form.path)
    return page.redirect(own_path(f"{path}?{query}", otherwise=path) if query else path, message)
