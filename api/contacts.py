"""Routes of contacts."""

from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import Field

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, FilterQuery, PageQuery, listing
from api.schemas.base import Listing
from api.schemas.contacts import Contact, ContactChanges, NewContact
from domain.platform.names import SEARCH_LENGTH
from services.contacts.contacts import ContactFields

router = APIRouter(prefix="/contacts", tags=["contacts"])

CURSORS = Cursors("contacts", {"name": str, "created_at": datetime})


class ContactFilter(FilterQuery):
    """The filters of the list of contacts."""

    search: str = Field(
        default="",
        max_length=SEARCH_LENGTH,
        description="Any part of the name in any case, or phone digits.",
    )
    group: list[UUID] = Field(
        default_factory=list, max_length=50, description="Members of any of these groups."
    )
    sort: Literal["name", "-name", "created_at", "-created_at"] = "name"


class ContactQuery(ContactFilter, PageQuery):
    """The filters of the list of contacts, and its page."""


@router.post("", status_code=201, response_model=Contact)
async def create_contact(body: NewContact, services: ServicesDep, once: OnceDep) -> Response:
    """Add a contact. 409 `phone_taken` names the contact who has the number already."""
    fields = cast("ContactFields", body.model_dump())
    return await once.answer(Contact, lambda: services.contacts.create(fields), repeatable=True)


@router.get("")
async def list_contacts(
    query: Annotated[ContactQuery, Query()], services: ServicesDep
) -> Listing[Contact]:
    """List contacts, by name if nothing else is asked for."""
    page = await services.contacts.find(
        search=query.search,
        group_ids=query.group,
        sort=query.sort,
        after=CURSORS.read(query.cursor, query.sort),
        limit=query.limit,
    )
    return listing(page, Contact, CURSORS.write(page.next, query.sort))


@router.get("/{contact_id}")
async def get_contact(contact_id: UUID, services: ServicesDep) -> Contact:
    """Give one contact."""
    return Contact.model_validate(await services.contacts.get(contact_id))


@router.patch("/{contact_id}")
async def change_contact(contact_id: UUID, body: ContactChanges, services: ServicesDep) -> Contact:
    """Change what is given.

    Texts that are still to be sent go to the new number and use the new name. Steps that wait go
    by the new time zone, or that of the new number, at once.
    """
    fields = cast("ContactFields", body.model_dump(exclude_unset=True))
    return Contact.model_validate(await services.contacts.update(contact_id, fields))


@router.delete("/{contact_id}", status_code=204, dependencies=[AdminOnly])
async def erase_contact(contact_id: UUID, services: ServicesDep, user: CurrentUser) -> None:
    """Erase a contact for good: the person, their enrollments and the whole conversation.

    Active enrollments end first. That the number was opted out stays known, as a keyed hash, and
    holds again if the number ever comes back. 409 `text_under_way` while the fate of a text to or
    from them is not known.
    """
    await services.erasure.erase(contact_id, user.id)
