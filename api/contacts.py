"""Routes of contacts."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.etags import TAGGED, IfMatchDep, tagged
from api.field_problems import FieldProblem, field_problem
from api.idempotency import OnceDep
from api.paging import Cursors, FieldsQuery, InQuery, PageQuery, Search
from api.schemas.base import Listing, Moment, PhoneText
from api.schemas.contacts import (
    Contact,
    ContactChanges,
    ContactRows,
    ExternalId,
    KnownContact,
    NewContact,
    UpsertResults,
    WrongRow,
)
from services.contacts.merging import Merged, Outcome
from storage.contacts import contacts as stored

router = APIRouter(prefix="/contacts", tags=["contacts"])

CURSORS = Cursors("contacts", "name", {"name": str, "created_at": datetime, "updated_at": datetime})


class ContactFilter(FieldsQuery):
    """The filters of the list of contacts; each repeats for "any of"."""

    contact: list[UUID] = Field(default_factory=list, max_length=200)
    """Only these contacts."""
    search: Search = ""
    group: list[UUID] = Field(default_factory=list, max_length=50)
    """Members of any of these groups."""
    phone: list[PhoneText] = Field(default_factory=list, max_length=50)
    """Whole numbers, as in a contact."""
    external_id: list[ExternalId] = Field(default_factory=list, max_length=50)
    updated_since: Moment | None = None
    """Changed at this moment or later."""
    owner: list[UUID] = Field(default_factory=list, max_length=50)
    """Contacts of any of these users."""
    sort: Literal["name", "-name", "created_at", "-created_at", "updated_at", "-updated_at"] = (
        "name"
    )

    def wanted(self) -> stored.ContactFilter:
        """Hand them to the use cases."""
        names = ContactFilter.model_fields.keys() - {"sort"}
        return stored.ContactFilter(**{name: getattr(self, name) for name in names})


class ContactQuery(ContactFilter, PageQuery):
    """The filters of the list of contacts, and its page."""


@router.post("", status_code=201, response_model=Contact)
async def create_contact(body: NewContact, services: ServicesDep, once: OnceDep) -> Response:
    """Add a contact.

    409 `phone_taken` or `external_id_taken` names the contact who already has it.
    """
    return await once.answer(lambda: services.contacts.create(body.as_fields()), repeatable=True)


@router.get("")
async def list_contacts(query: InQuery[ContactQuery], services: ServicesDep) -> Listing[Contact]:
    """List contacts, by name unless `sort` says otherwise.

    `field.KEY=VALUE` filters by a field of the workspace, exactly.

    To follow changes, list with `sort=updated_at` to the last page and keep the latest
    `updated_at`. Next time ask for `updated_since` one minute before it: a change is dated when it
    is written and is listed when it is committed, up to a minute later. So some contacts come
    again; they are as you know them if their `updated_at` is, but for `opted_out`: events tell of
    that, or `GET /api/suppressions`. Erased contacts are no longer listed.
    """
    find = partial(services.contacts.find, query.wanted(), sort=query.sort)
    return await CURSORS.listing(Contact, query, find)


@router.post("/upsert", response_model=UpsertResults)
async def upsert_contacts(body: ContactRows, services: ServicesDep, once: OnceDep) -> Response:
    """Create or change up to 1,000 contacts; repeating it changes nothing more.

    A row is matched by `external_id`, else by `phone`; a contact who has the phone and no external
    id gets the row's. What a row leaves out stays. Each row is judged by what was stored before
    the call, so a number that passes from one contact to another takes two calls; and one that
    cannot be taken costs itself alone: `phone_taken` if its phone is
    another contact's than its external id, or its phone's contact has another external id;
    `duplicate_row` if an earlier row is the same person.
    """

    async def upsert() -> Mapping[str, Any]:
        rows = {
            index: row.as_changes()
            for index, row in enumerate(body.contacts)
            if not isinstance(row, WrongRow)
        }
        merged = await services.contacts.upsert(rows)
        results = [
            _wrong(index, row) if isinstance(row, WrongRow) else _upserted(index, merged[index])
            for index, row in enumerate(body.contacts)
        ]
        return {"results": results}

    return await once.answer(upsert, repeatable=True)


def _wrong(index: int, row: WrongRow) -> Mapping[str, Any]:
    found = [field_problem({**one, "loc": ("row", *one["loc"])}) for one in row.errors]
    return {"index": index, "outcome": Outcome.ERROR, "id": None, "errors": _told(found)}


def _told(found: Sequence[FieldProblem]) -> Sequence[Mapping[str, str]]:
    return [{**vars(one), "reason": one.message} for one in found]


def _upserted(index: int, merged: Merged) -> Mapping[str, Any]:
    if merged.errors:
        errors = _told([FieldProblem.of(error) for error in merged.errors])
        return {"index": index, "outcome": Outcome.ERROR, "id": None, "errors": errors}
    return {"index": index, "outcome": merged.outcome, "id": merged.contact_id, "errors": []}


@router.get("/by-external-id/{external_id:path}", responses={200: TAGGED})
async def get_contact_by_external_id(
    external_id: ExternalId, services: ServicesDep, response: Response
) -> Contact:
    """Return the contact with an external id."""
    found = await services.contacts.of_external_id(external_id)
    return tagged(response, Contact.model_validate(found))


@router.put(
    "/by-external-id/{external_id:path}",
    responses={200: TAGGED, 201: {"model": Contact, "description": "Created", **TAGGED}},
)
async def put_contact_by_external_id(
    external_id: ExternalId,
    body: KnownContact,
    services: ServicesDep,
    if_match: IfMatchDep,
    response: Response,
) -> Contact:
    """Create the contact with an external id, or change it; what is left out stays.

    201 if it is new. A contact who has the phone and no external id gets this one. 409
    `phone_taken` names the contact who already has the phone.
    """
    contact, is_new = await services.contacts.put(
        external_id, body.as_changes(), only_if=if_match.on(Contact)
    )
    if is_new:
        response.status_code = 201
        response.headers["Location"] = f"/api/contacts/{contact.id}"
    return tagged(response, Contact.model_validate(contact))


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
    in the new time zone or in that of the new number. A field of null loses its value.
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
