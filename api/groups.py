"""Routes of groups and their members."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import AdminOnly, CurrentUser, ServicesDep, SettingsDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.contacts import (
    AddedMembers,
    Contact,
    ContactIds,
    Group,
    GroupChanges,
    NewGroup,
    OptInPage,
    OptInPageBody,
    RemovedMembers,
)
from domain.platform.errors import required
from storage.contacts.contacts import ContactFilter

router = APIRouter(prefix="/groups", tags=["groups"])

GROUP_CURSORS = Cursors("groups", "name", {"name": str})
MEMBER_CURSORS = Cursors("members", "name", {"name": str})


@router.post("", status_code=201, response_model=Group)
async def create_group(body: NewGroup, services: ServicesDep, once: OnceDep) -> Response:
    """Create an empty group. 409 `group_taken` names the group that already has the name."""
    return await once.answer(lambda: services.groups.create(body.name), repeatable=True)


@router.get("")
async def list_groups(query: InQuery[PageQuery], services: ServicesDep) -> Listing[Group]:
    """List groups by name."""
    return await GROUP_CURSORS.listing(Group, query, services.groups.find)


@router.get("/{group_id}")
async def get_group(group_id: UUID, services: ServicesDep) -> Group:
    """Return one group."""
    return Group.model_validate(await services.groups.get(group_id))


@router.patch("/{group_id}")
async def change_group(group_id: UUID, body: GroupChanges, services: ServicesDep) -> Group:
    """Rename a group. 409 `group_taken` names the group that already has the name."""
    return Group.model_validate(await services.groups.rename(group_id, body.name))


@router.delete("/{group_id}", status_code=204)
async def delete_group(group_id: UUID, services: ServicesDep) -> None:
    """Delete a group. Its members stay contacts and stay enrolled.

    Jobs that would still add people to it leave them out; their rows get the result
    `unknown_group`.
    """
    await services.groups.remove(group_id)


@router.get("/{group_id}/members")
async def list_members(
    group_id: UUID, query: InQuery[PageQuery], services: ServicesDep
) -> Listing[Contact]:
    """List a group's contacts by name."""
    await services.groups.get(group_id)
    find = partial(services.contacts.find, ContactFilter(group=[group_id]))
    return await MEMBER_CURSORS.within(group_id).listing(Contact, query, find)


@router.post("/{group_id}/members", response_model=AddedMembers)
async def add_members(
    group_id: UUID, body: ContactIds, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Add contacts to a group; repeating it changes nothing."""
    return await once.answer(
        lambda: services.groups.add_members(group_id, body.contact_ids, user.id), repeatable=True
    )


@router.delete("/{group_id}/members")
async def remove_members(group_id: UUID, body: ContactIds, services: ServicesDep) -> RemovedMembers:
    """Remove contacts from a group; repeating it changes nothing."""
    done = await services.groups.remove_members(group_id, body.contact_ids)
    return RemovedMembers.model_validate(done)


@router.get("/{group_id}/opt-in-page")
async def get_opt_in_page(
    group_id: UUID, services: ServicesDep, settings: SettingsDep
) -> OptInPage:
    """Return the group's public opt-in page. 404 if it has none."""
    page = required(await services.opt_in_pages.of_group(group_id), "opt-in page", group_id)
    return OptInPage.of(page, settings.public_base_url)


@router.put("/{group_id}/opt-in-page", dependencies=[AdminOnly])
async def put_opt_in_page(
    group_id: UUID, body: OptInPageBody, services: ServicesDep, settings: SettingsDep
) -> OptInPage:
    """Create the group's public opt-in page, or change what it says.

    Whoever ticks its box becomes a contact, if they are none, and a member of the group, and their
    consent is kept in the words that they were shown. An opted-out number is told to text START.
    409 `slug_taken`; 422 `unknown_sender` unless the sender is a number.
    """
    page = await services.opt_in_pages.put(group_id, body.as_fields())
    return OptInPage.of(page, settings.public_base_url)


@router.delete("/{group_id}/opt-in-page", status_code=204, dependencies=[AdminOnly])
async def delete_opt_in_page(group_id: UUID, services: ServicesDep) -> None:
    """Take the group's opt-in page down. Members and consents stay."""
    await services.opt_in_pages.remove(group_id)
