"""Routes of notes about contacts."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.contacts import NewNote, Note
from storage.platform.database import Transaction

router = APIRouter(prefix="/contacts/{contact_id}/notes", tags=["contacts"])

_CURSORS = Cursors("notes", "-created_at", {"created_at": datetime})


@router.get("")
async def list_notes(
    contact_id: UUID, query: InQuery[PageQuery], services: ServicesDep
) -> Listing[Note]:
    """List the notes about a contact, the latest first."""
    find = partial(services.notes.find, contact_id)
    return await _CURSORS.within(contact_id).listing(Note, query, find)


@router.post("", status_code=201, response_model=Note)
async def create_note(
    contact_id: UUID, body: NewNote, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Write a note about a contact; it is never sent, and erased with the contact."""

    async def write(tx: Transaction) -> object:
        return await services.notes.add(contact_id, body.body, user.id, within=tx)

    return await once.answer_within(write)


@router.get("/{note_id}")
async def get_note(contact_id: UUID, note_id: UUID, services: ServicesDep) -> Note:
    """Return one note."""
    return Note.model_validate(await services.notes.get(contact_id, note_id))


@router.delete("/{note_id}", status_code=204)
async def delete_note(
    contact_id: UUID, note_id: UUID, services: ServicesDep, user: CurrentUser
) -> None:
    """Delete a note; 403 `forbidden` unless it is your own or you are an admin."""
    await services.notes.remove(contact_id, note_id, user.id, user.role)
