"""What is done about a conversation: whose it is, snoozing, notes, ending sequences."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import MembersOnly
from api.pages.conversations.replying import moment_of
from api.pages.flash import Flash
from api.pages.forms import FormFields, chosen_id
from api.pages.page import InForm, Page, PageDep, PageEvent
from domain.messaging.snoozing import snooze_offers
from domain.statuses.messaging import ConversationState
from services.contacts.notes import Note, may_remove
from services.messaging.inbox import ConversationChange

router = APIRouter()

_SHOWN = 2
_FIELDS = {"owner_id": "The owner", "snoozed_until": "The time", "state": "The state"}


class HandlingFields(FormFields):
    """What to change of a conversation: its owner, empty for nobody; its state; a moment.

    ``seen`` is the last text that the page showed.
    """

    owner_id: str | None = None
    state: ConversationState | None = None
    snoozed_until: str = ""
    seen: UUID | None = None

    @property
    def is_put_away(self) -> bool:
        """Whether it is to be done or snoozed."""
        return self.state is ConversationState.DONE or bool(self.snoozed_until)


class NoteFields(FormFields):
    """A note as typed."""

    body: str = ""


@router.get("/conversations/{contact_id}/handling")
async def show_handling(page: PageDep, contact_id: UUID) -> Response:
    """Show whose a conversation is, how it stands, and the contact's sequences."""
    return page.part("conversations/_handling.html", **await handling(page, contact_id))


@router.post("/conversations/{contact_id}/handling")
async def change_handling(
    page: PageDep, contact_id: UUID, form: InForm[HandlingFields]
) -> Response:
    """Give a contact an owner, or mark the conversation done, snoozed or open."""
    flash = None
    with page.refusing():
        change = _change(page, form)
        now = await page.services.inbox.change(contact_id, change)
        if now.state is ConversationState.NEEDS_REPLY and form.is_put_away:
            flash = Flash("They wrote again meanwhile, so it still needs a reply.", "warning")
        elif until := change.get("snoozed_until"):
            flash = Flash(f"Snoozed until {page.clock.exact(until)}.")
    for field, reason in page.errors.fields.items():
        flash = Flash(f"{_FIELDS.get(field, field)} {reason}.", "warning")
    return page.part(
        "conversations/_handling.html",
        event=None if page.errors else PageEvent.TEXTS_CHANGED,
        flash=flash,
        **await handling(page, contact_id),
    )


def _change(page: Page, form: HandlingFields) -> ConversationChange:
    change: ConversationChange = {}
    if form.owner_id is not None:
        given = form.owner_id
        change["owner_id"] = chosen_id(given, field="owner_id") if given else None
    if form.state is not None:
        change["state"] = form.state
    until = moment_of(form.snoozed_until, page.clock.zone, field="snoozed_until")
    if until is not None:
        change["snoozed_until"] = until
    if form.seen is not None:
        change["last_message_id"] = form.seen
    return change


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
    return {
        "handling": found,
        "owners": await page.owner_options(found.owner.id if found.owner else None),
        "offers": snooze_offers(page.now, page.clock.zone),
        "enrolled": told[:_SHOWN],
        "more_enrolled": len(told[_SHOWN:]),
        "is_active": bool(active),
    }


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
