"""Groups: named sets of contacts, and who is in them."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from pydantic import Field
from starlette.responses import Response

from api.groups import GROUP_CURSORS, MEMBER_CURSORS
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.flash import Flash
from api.pages.forms import NO_ERRORS, FormErrors, FormFields
from api.pages.page import Page, PageDep
from domain.platform.errors import SegueError
from services.contacts.contacts import SEARCH_LENGTH

router = APIRouter()

MEMBERS_CHANGED = "members-changed"
"""What the browser is told when somebody came into a group or left it."""

_ROWS = 50
_SORT = "name"
_SHOWN = 5


class MembersQuery(PlaceQuery):
    """What the address of a group's page says."""

    search: Annotated[str, Field(max_length=SEARCH_LENGTH)] = ""


class PickQuery(PlaceQuery):
    """Whom one looks for to add."""

    find: Annotated[str, Field(max_length=SEARCH_LENGTH)] = ""


class NameFields(FormFields):
    """What a group is called."""

    name: str = ""


class NumbersFields(FormFields):
    """Numbers as pasted."""

    numbers: str = ""


class MemberFields(FormFields):
    """Who is to be added."""

    contact_id: UUID


@router.get("/groups")
async def show_groups(page: PageDep, query: Annotated[PlaceQuery, Query()]) -> Response:
    """List groups by name."""
    found = await page.services.groups.find(
        after=GROUP_CURSORS.read(query.cursor, _SORT), limit=_ROWS
    )
    address = Addresses(page.path_to("show_groups"), query)
    return page.render(
        "groups/index.html",
        groups=found.items,
        address=address,
        following=address.following(GROUP_CURSORS.write(found.next, _SORT)),
    )


@router.get("/groups/new")
async def new_group(page: PageDep) -> Response:
    """Ask what a new group is called."""
    return _ask_name(page, page.path_to("create_group"), NameFields())


@router.post("/groups/new")
async def create_group(page: PageDep, form: Annotated[NameFields, Form()]) -> Response:
    """Make an empty group."""
    try:
        made = await page.services.groups.create(form.name)
    except SegueError as error:
        return _ask_name(page, page.path_to("create_group"), form, errors=FormErrors.of(error))
    return page.redirect(page.path_to("show_group", group_id=made.id), f"{made.name} is made.")


@router.get("/groups/{group_id}")
async def show_group(
    page: PageDep, group_id: UUID, query: Annotated[MembersQuery, Query()]
) -> Response:
    """Show one group and its members, by name."""
    group = await page.services.groups.get(group_id)
    cursors = MEMBER_CURSORS.within(group_id)
    found = await page.services.contacts.find(
        search=query.search,
        group_ids=[group_id],
        after=cursors.read(query.cursor, _SORT),
        limit=_ROWS,
    )
    address = Addresses(page.path_to("show_group", group_id=group_id), query)
    return page.render(
        "groups/group.html",
        part="groups/_members.html",
        group=group,
        query=query,
        members=found.items,
        address=address,
        following=address.following(cursors.write(found.next, _SORT)),
    )


@router.get("/groups/{group_id}/rename")
async def ask_group_name(page: PageDep, group_id: UUID) -> Response:
    """Ask for another name."""
    group = await page.services.groups.get(group_id)
    action = page.path_to("rename_group", group_id=group_id)
    return _ask_name(page, action, NameFields(name=group.name), is_new=False)


@router.post("/groups/{group_id}/rename")
async def rename_group(
    page: PageDep, group_id: UUID, form: Annotated[NameFields, Form()]
) -> Response:
    """Give a group another name."""
    try:
        await page.services.groups.rename(group_id, form.name)
    except SegueError as error:
        action = page.path_to("rename_group", group_id=group_id)
        return _ask_name(page, action, form, errors=FormErrors.of(error), is_new=False)
    return page.redirect(page.path_to("show_group", group_id=group_id), "The group is renamed.")


@router.get("/groups/{group_id}/delete")
async def ask_group_deletion(page: PageDep, group_id: UUID) -> Response:
    """Ask before a group is deleted: how many are in it."""
    return page.part("groups/_delete.html", group=await page.services.groups.get(group_id))


@router.post("/groups/{group_id}/delete")
async def delete_group(page: PageDep, group_id: UUID) -> Response:
    """Delete a group; its members stay contacts."""
    group = await page.services.groups.get(group_id)
    await page.services.groups.remove(group_id)
    return page.redirect(page.path_to("show_groups"), f"{group.name} is deleted.")


@router.get("/groups/{group_id}/add")
async def ask_members(page: PageDep, group_id: UUID) -> Response:
    """Ask who is to be added: by search, or by pasted numbers."""
    return await _ask_members(page, group_id)


@router.get("/groups/{group_id}/pick")
async def pick_members(
    page: PageDep, group_id: UUID, query: Annotated[PickQuery, Query()]
) -> Response:
    """Find contacts to add."""
    found = await page.services.pickers.contacts(query.find)
    return page.part("groups/_picked.html", group_id=group_id, picked=found)


@router.post("/groups/{group_id}/add")
async def add_member(
    page: PageDep, group_id: UUID, form: Annotated[MemberFields, Form()]
) -> Response:
    """Put one contact into a group; the dialog stays open for the next."""
    added = await page.services.groups.add_members(group_id, [form.contact_id], page.user.id)
    return page.part("groups/_added.html", is_new=bool(added.added), events=[MEMBERS_CHANGED])


@router.post("/groups/{group_id}/add-numbers")
async def add_numbers(
    page: PageDep, group_id: UUID, form: Annotated[NumbersFields, Form()]
) -> Response:
    """Put the contacts who have the pasted numbers into a group."""
    try:
        done = await page.services.groups.add_numbers(group_id, form.numbers, page.user.id)
    except SegueError as error:
        return await _ask_members(page, group_id, form, errors=FormErrors.of(error))
    added, already = len(done.members.added), len(done.members.already)
    words = f"{added:,} added" + (f", {already:,} in it already" if already else "")
    if done.unknown or done.unread:
        left = [*(f"{one} is nobody's" for one in done.unknown)]
        left += [f"“{one[:40]}” is no number" for one in done.unread]
        more = f" and {len(left) - _SHOWN:,} more" if len(left) > _SHOWN else ""
        flash = Flash(f"{words}. Left out: {'; '.join(left[:_SHOWN])}{more}.", "warning")
        return page.done(flash, events=[MEMBERS_CHANGED])
    return page.done(f"{words}.", events=[MEMBERS_CHANGED])


@router.post("/groups/{group_id}/members/{contact_id}/remove")
async def remove_member(page: PageDep, group_id: UUID, contact_id: UUID) -> Response:
    """Take one contact out of a group."""
    await page.services.groups.remove_members(group_id, [contact_id])
    return page.done("They are no longer in the group.", events=[MEMBERS_CHANGED])


def _ask_name(
    page: Page,
    action: str,
    form: NameFields,
    *,
    errors: FormErrors = NO_ERRORS,
    is_new: bool = True,
) -> Response:
    return page.part("groups/_name.html", action=action, form=form, errors=errors, is_new=is_new)


async def _ask_members(
    page: Page,
    group_id: UUID,
    form: NumbersFields | None = None,
    *,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    return page.part(
        "groups/_add.html",
        group=await page.services.groups.get(group_id),
        picked=[] if errors else await page.services.pickers.contacts(),
        form=form or NumbersFields(),
        errors=errors,
    )
