"""Routes of groups and their members."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, PageQuery, listing
from api.schemas.base import Listing
from api.schemas.contacts import AddedMembers, Contact, ContactIds, Group, NewGroup, RemovedMembers

router = APIRouter(prefix="/groups", tags=["groups"])

_SORT = "name"
GROUP_CURSORS = Cursors("groups", {_SORT: str})
MEMBER_CURSORS = Cursors("members", {_SORT: str})


@router.post("", status_code=201, response_model=Group)
async def create_group(body: NewGroup, services: ServicesDep, once: OnceDep) -> Response:
    """Make an empty group. 409 `group_taken` names the group that has the name already."""
    return await once.answer(Group, lambda: services.groups.create(body.name), repeatable=True)


@router.get("")
async def list_groups(
    query: Annotated[PageQuery, Query()], services: ServicesDep
) -> Listing[Group]:
    """List groups by name."""
    after = GROUP_CURSORS.read(query.cursor, _SORT)
    page = await services.groups.find(after=after, limit=query.limit)
    return listing(page, Group, GROUP_CURSORS.write(page.next, _SORT))


@router.get("/{group_id}")
async def get_group(group_id: UUID, services: ServicesDep) -> Group:
    """Give one group."""
    return Group.model_validate(await services.groups.get(group_id))


@router.delete("/{group_id}", status_code=204)
async def delete_group(group_id: UUID, services: ServicesDep) -> None:
    """Delete a group. Its members stay contacts, and enrolled where they are.

    Work in the background that is still to put people into it leaves those people out, with
    `unknown_group` as the result of their rows.
    """
    await services.groups.remove(group_id)


@router.get("/{group_id}/members")
async def list_members(
    group_id: UUID, query: Annotated[PageQuery, Query()], services: ServicesDep
) -> Listing[Contact]:
    """List a group's contacts by name."""
    cursors = MEMBER_CURSORS.within(group_id)
    after = cursors.read(query.cursor, _SORT)
    await services.groups.get(group_id)
    page = await services.contacts.find(group_ids=[group_id], after=after, limit=query.limit)
    return listing(page, Contact, cursors.write(page.next, _SORT))


@router.post("/{group_id}/members", response_model=AddedMembers)
async def add_members(
    group_id: UUID, body: ContactIds, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Put contacts into a group; doing it again changes nothing."""
    return await once.answer(
        AddedMembers,
        lambda: services.groups.add_members(group_id, body.contact_ids, user.id),
        status_code=200,
        repeatable=True,
    )


@router.delete("/{group_id}/members")
async def remove_members(group_id: UUID, body: ContactIds, services: ServicesDep) -> RemovedMembers:
    """Take contacts out of a group; doing it again changes nothing."""
    done = await services.groups.remove_members(group_id, body.contact_ids)
    return RemovedMembers.model_validate(done)
