"""Routes of contacts."""

from datetime import datetime
from functools import partial
from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.etags import TAGGED, IfMatchDep, tagged
from api.idempotency import OnceDep
from api.paging import Cursors, FilterQuery, InQuery, PageQuery, Search
from api.schemas.base import Listing
from api.schemas.contacts import Contact, ContactChanges, NewContact

router = APIRouter(prefix="/contacts", tags=["contacts"])

CURSORS = Cursors("contacts", "name", {"name": str, "created_at": datetime})


class ContactFilter(FilterQuery):
    """The filters of the list of contacts."""

    search: Search = ""
    group: list[UUID] = Field(default_factory=list, max_length=50)
    """Members of any of these groups."""
    sort: Literal["name", "-name", "created_at", "-created_at"] = "name"


class ContactQuery(ContactFilter, PageQuery):
    """The filters of the list of contacts, and its page."""


@router.post("", status_code=201, response_model=Contact)
async def create_contact(body: NewContact, services: ServicesDep, once: OnceDep) -> Response:
    """Add a contact. 409 `phone_taken` names the contact who already has the number."""
    return await once.answer(lambda: services.contacts.create(body.as_fields()), repeatable=True)


@router.get("")
async def list_contacts(query: InQuery[ContactQuery], services: ServicesDep) -> Listing[Contact]:
    """List contacts, by name unless `sort` says otherwise."""
    find = partial(
        services.contacts.find, search=query.search, group_ids=query.group, sort=query.sort
    )
    return await CURSORS.listing(Contact, query, find)


@router.get("/{contact_id}", responses={200: TAGGED})
async def get_contact(contact_id: UUID, services: ServicesDep, response: Response) -> Contact:
    """Return one contact."""
    return tagged(response, Contact.model_validate(await services.contacts.get(contact_id)))


@router.patch("/{contact_id}", responses={200: TAGGED})
async def change_contact(
    contact_id: UUID,
    body: ContactChanges,
    services: ServicesDep,
    if_match: IfMatchDep,
    response: Response,
) -> Contact:
    """Change only the given fields.

    Unsent texts go to the new number and use the new name. Waiting steps are rescheduled at once,
    in the new time zone or in that of the new number.
    """
    changed = await services.contacts.update(
        contact_id, body.as_changes(), only_if=if_match.on(Contact)
    )
    return tagged(response, Contact.model_validate(changed))


@router.delete("/{contact_id}", status_code=204, dependencies=[AdminOnly])
async def erase_contact(contact_id: UUID, services: ServicesDep, user: CurrentUser) -> None:
    """Erase a contact for good: the person, their enrollments and the whole conversation.

    Active enrollments end first. An opt-out of the number is kept as a keyed hash, and applies
    again if the number ever comes back. 409 `text_under_way` while the outcome of a text to or from
    them is unknown.
    """
    await services.erasure.erase(contact_id, user.id)
