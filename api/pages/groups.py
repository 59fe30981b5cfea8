"""Groups of contacts and their members."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.groups import GROUP_CURSORS, MEMBER_CURSORS
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.flash import Flash
from api.pages.forms import FormFields
from api.pages.page import InForm, InQuery, Page, PageDep, PageEvent
from domain.platform.errors import SegueError
from domain.platform.names import SEARCH_LENGTH

router = APIRouter()

_ROWS = 50
_SORT = "name"
_SHOWN = 5


class MembersQuery(PlaceQuery):
    """Query of a group's page."""

    search: Annotated[str, Field(max_length=SEARCH_LENGTH)] = ""


class PickQuery(PlaceQuery):
    """Search for contacts to add."""

    find: Annotated[str, Field(max_length=SEARCH_LENGTH)] = ""


class NameFields(FormFields):
    """The name of a group."""

    name: str = ""


class NumbersFields(FormFields):
    """Numbers as pasted."""

    numbers: str = ""


@router.get("/groups")
async def show_groups(page: PageDep, query: InQuery[PlaceQuery]) -> Response:
    """List groups by name."""
    found = await page.services.groups.find(
        after=GROUP_CURSORS.read(query.cursor, _SORT), limit=_ROWS
    )
    next_cursor = GROUP_CURSORS.write(found.next, _SORT)
    address = Addresses(page.path_to("show_groups"), query, next_cursor)
    return page.render("groups/index.html", groups=found.items, address=address)


@router.get("/groups/new")
async def new_group(page: PageDep) -> Response:
    """Show the dialog of a new group."""
    return _ask_name(page, page.path_to("create_group"), NameFields())


@router.post("/groups/new")
async def create_group(page: PageDep, form: InForm[NameFields]) -> Response:
    """Create an empty group."""
    try:
        made = await page.services.groups.create(form.name)
    except SegueError as error:
        page.refuse(error)
        return _ask_name(page, page.path_to("create_group"), form)
    return page.redirect_to("show_group", f"{made.name} is made.", group_id=made.id)


@router.get("/groups/{group_id}")
async def show_group(page: PageDep, group_id: UUID, query: InQuery[MembersQuery]) -> Response:
    """Show a group and its members by name."""
    group = await page.services.groups.get(group_id)
    cursors = MEMBER_CURSORS.within(group_id)
    found = await page.services.contacts.find(
        search=query.search,
        group_ids=[group_id],
        after=cursors.read(query.cursor, _SORT),
        limit=_ROWS,
    )
    path = page.path_to("show_group", group_id=group_id)
    return page.render(
        "groups/group.html",
        part="groups/_members.html",
        group=group,
        query=query,
        members=found.items,
        address=Addresses(path, query, cursors.write(found.next, _SORT)),
    )


@router.get("/groups/{group_id}/rename")
async def ask_group_name(page: PageDep, group_id: UUID) -> Response:
    """Show the dialog that renames a group."""
    group = await page.services.groups.get(group_id)
    action = page.path_to("rename_group", group_id=group_id)
    return _ask_name(page, action, NameFields(name=group.name), is_new=False)


@router.post("/groups/{group_id}/rename")
async def rename_group(page: PageDep, group_id: UUID, form: InForm[NameFields]) -> Response:
    """Rename a group."""
    try:
        await page.services.groups.rename(group_id, form.name)
    except SegueError as error:
        action = page.path_to("rename_group", group_id=group_id)
        page.refuse(error)
        return _ask_name(page, action, form, is_new=False)
    return page.redirect_to("show_group", "The group is renamed.", group_id=group_id)


@router.get("/groups/{group_id}/delete")
async def ask_group_deletion(page: PageDep, group_id: UUID) -> Response:
    """Ask before deleting a group; the dialog says how many members it has."""
    return page.part("groups/_delete.html", group=await page.services.groups.get(group_id))


@router.post("/groups/{group_id}/delete")
async def delete_group(page: PageDep, group_id: UUID) -> Response:
    """Delete a group; its members stay contacts."""
    group = await page.services.groups.get(group_id)
    await page.services.groups.remove(group_id)
    return page.redirect_to("show_groups", f"{group.name} is deleted.")


@router.get("/groups/{group_id}/add")
async def ask_members(page: PageDep, group_id: UUID) -> Response:
    """Show the dialog that adds contacts, by search or by pasted numbers."""
    return await _ask_members(page, group_id)


@router.get("/groups/{group_id}/pick")
async def pick_members(page: PageDep, group_id: UUID, query: InQuery[PickQuery]) -> Response:
    """Find contacts to add."""
    found = await page.services.pickers.contacts(query.find)
    return page.part("groups/_picked.html", group_id=group_id, picked=found)


@router.post("/groups/{group_id}/add")
async def add_member(page: PageDep, group_id: UUID, contact_id: InForm[UUID]) -> Response:
    """Add one contact to a group; the dialog stays open for the next."""
    added = await page.services.groups.add_members(group_id, [contact_id], page.user.id)
    return page.part(
        "groups/_added.html", is_new=bool(added.added), event=PageEvent.MEMBERS_CHANGED
    )


@router.post("/groups/{group_id}/add-numbers")
async def add_numbers(page: PageDep, group_id: UUID, form: InForm[NumbersFields]) -> Response:
    """Add the contacts with the pasted numbers to a group."""
    try:
        done = await page.services.groups.add_numbers(group_id, form.numbers, page.user.id)
    except SegueError as error:
        page.refuse(error)
        return await _ask_members(page, group_id, form)
    added, already = len(done.members.added), len(done.members.already)
    words = f"{added:,} added" + (f", {already:,} in it already" if already else "")
    flash = Flash(f"{words}.")
    skipped = [f"{one} is nobody's" for one in done.unknown]
    skipped += [f"“{one[:40]}” is no number" for one in done.unread]
    if skipped:
        more = f" and {len(skipped) - _SHOWN:,} more" if len(skipped) > _SHOWN else ""
        flash = Flash(f"{words}. Left out: {'; '.join(skipped[:_SHOWN])}{more}.", "warning")
    return page.done(flash, event=PageEvent.MEMBERS_CHANGED)


@router.post("/groups/{group_id}/members/{contact_id}/remove")
async def remove_member(page: PageDep, group_id: UUID, contact_id: UUID) -> Response:
    """Remove one contact from a group."""
    await page.services.groups.remove_members(group_id, [contact_id])
    return page.done("They are no longer in the group.", event=PageEvent.MEMBERS_CHANGED)


def _ask_name(page: Page, action: str, form: NameFields, *, is_new: bool = True) -> Response:
    return page.part("groups/_name.html", action=action, form=form, is_new=is_new)


async def _ask_members(page: Page, group_id: UUID, form: NumbersFields | None = None) -> Response:
    return page.part(
        "groups/_add.html",
        group=await page.services.groups.get(group_id),
        picked=[] if page.errors else await page.services.pickers.contacts(),
        form=form or NumbersFields(),
    )
