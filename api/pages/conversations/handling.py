"""The head of a conversation: whose it is, how it stands; notes, and ending sequences."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import MembersOnly
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep, PageEvent
from domain.contacts.names import ContactName, is_nameless
from domain.messaging.snoozing import snooze_offers
from services.contacts.notes import Note, may_remove

router = APIRouter()

_SHOWN = 2


class NoteFields(FormFields):
    """A note as typed."""

    body: str = ""


@router.get("/conversations/{contact_id}/handling")
async def show_handling(page: PageDep, contact_id: UUID) -> Response:
    """Show whose a conversation is, how it stands, and the contact's sequences."""
    return page.part("conversations/_handling.html", **await handling(page, contact_id))


@router.get("/conversations/{contact_id}/finish", dependencies=[MembersOnly])
async def ask_finish(page: PageDep, contact_id: UUID) -> Response:
    """Ask before all active sequences of a contact end."""
    return await _ask_finish(page, contact_id)


@router.post("/conversations/{contact_id}/finish")
async def finish_contact(page: PageDep, contact_id: UUID) -> Response:
    """Mark all active enrollments of a contact finished."""
    with page.refusing():
        ended = await page.services.finishing.finish_contact(contact_id, page.user.id)
        count = sum(one.result == "finished" for one in ended)
        words = f"Marked finished in {count} sequence{'' if count == 1 else 's'}."
        return page.done(words, event=PageEvent.TEXTS_CHANGED)
    return await _ask_finish(page, contact_id)


@router.get("/conversations/{contact_id}/notes/new", dependencies=[MembersOnly])
async def new_note(page: PageDep, contact_id: UUID) -> Response:
    """Show the dialog of a new note."""
    return await _ask_note(page, contact_id, NoteFields())


@router.post("/conversations/{contact_id}/notes")
async def add_note(page: PageDep, contact_id: UUID, form: InForm[NoteFields]) -> Response:
    """Write a note about a contact."""
    with page.refusing(body="note"):
        await page.services.notes.add(contact_id, form.body, page.user.id)
        return page.done("Note added.", event=PageEvent.TEXTS_CHANGED)
    return await _ask_note(page, contact_id, form)


@router.get("/conversations/{contact_id}/notes/{note_id}/delete")
async def confirm_note_deletion(page: PageDep, contact_id: UUID, note_id: UUID) -> Response:
    """Ask before a note is deleted."""
    note = await page.services.notes.get(contact_id, note_id)
    return page.part("conversations/_note_delete.html", note=note)


@router.post("/conversations/{contact_id}/notes/{note_id}/delete")
async def delete_note(page: PageDep, contact_id: UUID, note_id: UUID) -> Response:
    """Delete a note; the service checks whose it is."""
    await page.services.notes.remove(contact_id, note_id, page.user.id, page.user.role)
    return page.done("Note deleted.", event=PageEvent.TEXTS_CHANGED)


async def handling(page: Page, contact_id: UUID) -> dict[str, Any]:
    """Return what the head of a conversation shows: whose it is, how it stands, the sequences."""
    found = await page.services.inbox.get(contact_id)
    enrolled = await page.services.enrollment_list.of_contact(contact_id)
    active = [one for one in enrolled if not one.status.is_final]
    told = active or enrolled[:1]
    at = found.scheduled_for
    return {
        "handling": found,
        "scheduled": (await when_sent(page, found.contact))(at) if at is not None else "",
        "owners": await page.owner_options(found.owner.id if found.owner else None),
        "offers": snooze_offers(page.now, page.clock.zone),
        "enrolled": told[:_SHOWN],
        "more_enrolled": len(told[_SHOWN:]),
        "is_active": bool(active),
    }


async def when_sent(page: Page, contact: ContactName) -> Callable[[datetime], str]:
    """Return a function that says when a text goes to a contact: on their clock and on ours."""
    zone = (await page.services.replying_hours.of(contact.id, page.now)).zone
    first = contact.name.partition(" ")[0]
    whose = "their" if is_nameless(contact.name, contact.phone) else f"{first}'s"
    return lambda moment: page.clock.on_both(moment, zone, whose)


def may_delete(page: Page) -> Callable[[Note], bool]:
    """Return a function that tells of a note whether the user may delete it."""
    return lambda note: may_remove(note, page.user.id, page.user.role)


async def _ask_finish(page: Page, contact_id: UUID) -> Response:
    contact = await page.services.contacts.get(contact_id)
    enrolled = await page.services.enrollment_list.of_contact(contact_id)
    active = [one for one in enrolled if not one.status.is_final]
    return page.part("conversations/_finish.html", contact=contact, active=active)


async def _ask_note(page: Page, contact_id: UUID, form: NoteFields) -> Response:
    contact = await page.services.contacts.get(contact_id)
    return page.part("conversations/_note.html", contact=contact, form=form)
