"""Groups of contacts and their members."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.groups import GROUP_CURSORS, MEMBER_CURSORS
from api.pages.addresses import PlaceQuery, listed
from api.pages.contact_acts import count_matching
from api.pages.flash import Flash
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.paging import InQuery, Search
from services.contacts.groups import AddedNumbers
from storage.contacts.contacts import ContactFilter

router = APIRouter()

_SHOWN = 5


class MembersQuery(PlaceQuery):
    """Query of a group's page."""

    search: Search = ""


class PickQuery(PlaceQuery):
    """Search for contacts to add."""

    find: Search = ""


class NameFields(FormFields):
    """The name of a group."""

    name: str = ""


class NumbersFields(FormFields):
    """Numbers as pasted."""

    numbers: str = ""


@router.get("/groups")
async def show_groups(page: PageDep, query: InQuery[PlaceQuery]) -> Response:
    """List groups by name."""
    path = page.path_to("show_groups")
    groups, address = await listed(path, query, GROUP_CURSORS, page.services.groups.find)
    return page.render("groups/index.html", groups=groups, address=address)


@router.get("/groups/new")
async def new_group(page: PageDep) -> Response:
    """Show the dialog of a new group."""
    return _ask_name(page, NameFields())


@router.post("/groups/new")
async def create_group(page: PageDep, form: InForm[NameFields]) -> Response:
    """Create an empty group."""
    with page.refusing():
        made = await page.services.groups.create(form.name)
        return page.redirect_to("show_group", f"{made.name} created.", group_id=made.id)
    return _ask_name(page, form)


@router.get("/groups/{group_id}")
async def show_group(page: PageDep, group_id: UUID, query: InQuery[MembersQuery]) -> Response:
    """Show a group and its members by name."""
    group = await page.services.groups.get(group_id)
    path = page.path_to("show_group", group_id=group_id)
    wanted = ContactFilter(search=query.search, group=[group_id])
    find = partial(page.services.contacts.find, wanted)
    members, address = await listed(path, query, MEMBER_CURSORS.within(group_id), find)
    whole = not address.following and query.cursor is None
    return page.render(
        "groups/group.html",
        part="groups/_members.html",
        group=group,
        query=query,
        members=members,
        matching=await count_matching(page, wanted, len(members), whole=whole),
        address=address,
    )


@router.get("/groups/{group_id}/rename")
async def ask_group_name(page: PageDep, group_id: UUID) -> Response:
    """Show the dialog that renames a group."""
    group = await page.services.groups.get(group_id)
    return _ask_name(page, NameFields(name=group.name), group_id)


@router.post("/groups/{group_id}/rename")
async def rename_group(page: PageDep, group_id: UUID, form: InForm[NameFields]) -> Response:
    """Rename a group."""
    with page.refusing():
        await page.services.groups.rename(group_id, form.name)
        return page.redirect_to("show_group", "Group renamed.", group_id=group_id)
    return _ask_name(page, form, group_id)


@router.get("/groups/{group_id}/delete")
async def ask_group_deletion(page: PageDep, group_id: UUID) -> Response:
    """Ask before deleting a group; the dialog says how many members it has."""
    return page.part("groups/_delete.html", group=await page.services.groups.get(group_id))


@router.post("/groups/{group_id}/delete")
async def delete_group(page: PageDep, group_id: UUID) -> Response:
    """Delete a group; its members stay contacts."""
    group = await page.services.groups.get(group_id)
    await page.services.groups.remove(group_id)
    return page.redirect_to("show_groups", f"{group.name} deleted.")


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
    with page.refusing():
        done = await page.services.groups.add_numbers(group_id, form.numbers, page.user.id)
        return page.done(_what_was_added(done), event=PageEvent.MEMBERS_CHANGED)
    return await _ask_members(page, group_id, form)


def _what_was_added(done: AddedNumbers) -> Flash:
    added, already = len(done.members.added), len(done.members.already)
    words = f"{added:,} added" + (f", {already:,} already in the group" if already else "")
    skipped = [f"{one} belongs to no contact" for one in done.unknown]
    skipped += [f"“{one[:40]}” is not a phone number" for one in done.unread]
    if not skipped:
        return Flash(f"{words}.")
    more = f" and {len(skipped) - _SHOWN:,} more" if len(skipped) > _SHOWN else ""
    return Flash(f"{words}. Left out: {'; '.join(skipped[:_SHOWN])}{more}.", "warning")


def _ask_name(page: Page, form: NameFields, group_id: UUID | None = None) -> Response:
    return page.part("groups/_name.html", form=form, group_id=group_id)


async def _ask_members(page: Page, group_id: UUID, form: NumbersFields | None = None) -> Response:
    return page.part(
        "groups/_add.html",
        group=await page.services.groups.get(group_id),
        picked=[] if page.errors else await page.services.pickers.contacts(),
        form=form or NumbersFields(),
    )
