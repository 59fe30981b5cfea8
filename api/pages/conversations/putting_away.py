"""Putting conversations away, one or several: done, snoozed, opted out; and taking that back.

Afterwards the next one that needs a reply is shown, by the list that is beside them.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import MembersOnly, Sends
from api.pages.addresses import address
from api.pages.conversations.handling import handling
from api.pages.conversations.index import Only, TalksQuery, address_beside, back_to
from api.pages.conversations.replying import ReplyFields, box_after, moment_of, send
from api.pages.conversations.threads import thread
from api.pages.conversations.unknown import number_thread
from api.pages.flash import Flash
from api.pages.forms import FormFields, chosen_id
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.settings.opt_outs import ReasonFields, ask_reason, question_of
from api.paging import FilterQuery, InQuery
from domain.contacts.names import ContactName, called
from domain.platform.errors import InvalidFieldError
from domain.platform.phones import readable
from domain.statuses.messaging import ConversationState
from services.messaging.inbox import ConversationChange, PutAway

router = APIRouter()

_AT_ONCE = 200
_GOES_ON = {Only.NEEDS_REPLY, Only.ALL}
_FIELDS = {
    "owner_id": "The owner",
    "snoozed_until": "The time",
    "state": "The state",
    "last_message_id": "The last message",
}
_ALL_DONE = "conversations/_all_done.html"
_ASKED = ReasonFields(reason="Asked by text")
_WROTE_AGAIN = Flash("They wrote again meanwhile, so it still needs a reply.", "warning")


class HandlingFields(FormFields):
    """What to change of a conversation: its owner, empty for nobody; its state; a moment.

    ``seen`` is the last text that the page showed.
    """

    owner_id: str | None = None
    state: ConversationState | None = None
    snoozed_until: str = ""
    seen: UUID | None = None


class TalkAct(StrEnum):
    """What is done to several conversations, as addresses name it."""

    DONE = "done"
    SNOOZE = "snooze"


class TalksFields(FormFields):
    """Conversations that are ticked in the list, and until when to snooze them.

    ``seen`` has the last text that the list showed of each that it showed, as CONTACT:TEXT.
    """

    contact: Annotated[list[UUID], Field(max_length=_AT_ONCE)] = Field(default_factory=list)
    seen: Annotated[list[str], Field(max_length=_AT_ONCE)] = Field(default_factory=list)
    snoozed_until: str = ""

    def chosen(self) -> Mapping[UUID, UUID | None]:
        """Return the last text that was seen of each one ticked.

        Raises:
            InvalidFieldError: None is ticked.
        """
        if not self.contact:
            raise InvalidFieldError("contact", "names no conversation; select some first")
        pairs = [one.partition(":") for one in self.seen]
        seen = {whose: chosen_id(text, field="seen") for whose, _, text in pairs}
        return {one: seen.get(str(one)) for one in self.contact}


class ReopenQuery(FilterQuery):
    """Conversations that are to be as they were.

    ``rested`` has those that were not open: CONTACT: if it was done, CONTACT:MOMENT if it was
    snoozed until then.
    """

    contact: list[UUID] = Field(default_factory=list, max_length=_AT_ONCE)
    rested: list[str] = Field(default_factory=list, max_length=_AT_ONCE)

    def before(self) -> Mapping[UUID, datetime | None]:
        """Return until when conversations were snoozed, None for those that were done.

        Raises:
            InvalidFieldError: No id, or no moment.
        """
        pairs = [one.partition(":") for one in self.rested]
        return {
            chosen_id(whose, field="rested"): moment_of(until, "UTC", field="rested")
            for whose, _, until in pairs
        }


@router.post("/conversations/{contact_id}/handling")
async def change_handling(
    page: PageDep, contact_id: UUID, form: InForm[HandlingFields]
) -> Response:
    """Give a contact an owner, or mark the conversation done, snoozed or open.

    One that is put away makes room for the next.
    """
    flash = None
    with page.refusing():
        until = moment_of(form.snoozed_until, page.clock.zone, field="snoozed_until")
        if until is None and form.state is not ConversationState.DONE:
            await page.services.inbox.change(contact_id, _change(form))
        else:
            away = await page.services.inbox.put_away({contact_id: form.seen}, until)
            contact = (await page.services.inbox.get(contact_id)).contact
            if not away.wrote_again:
                return await _go_on(page, contact_id, _put_away(page, contact, until, away))
            flash = _WROTE_AGAIN
    for field, reason in page.errors.fields.items():
        flash = Flash(f"{_FIELDS.get(field, field)} {reason}.", "warning")
    return page.part(
        "conversations/_handling.html",
        event=None if page.errors else PageEvent.TEXTS_CHANGED,
        flash=flash,
        **await handling(page, contact_id),
    )


@router.post("/conversations/{contact_id}/reply-and-done", dependencies=[Sends])
async def send_reply_and_finish(
    page: PageDep, contact_id: UUID, form: InForm[ReplyFields]
) -> Response:
    """Text a contact, mark the conversation done and show the next one."""
    await send(page, contact_id, form)
    if page.errors:
        return await box_after(page, contact_id, form, None)
    away = await page.services.inbox.put_away({contact_id: form.seen})
    if away.wrote_again:
        return await box_after(page, contact_id, form, _WROTE_AGAIN)
    contact = (await page.services.inbox.get(contact_id)).contact
    told = _put_away(page, contact, None, away)
    return await _go_on(page, contact_id, replace(told, text=f"Reply sent. {told.text}"))


@router.post("/conversations/{contact_id}/reopen")
async def reopen_conversation(
    page: PageDep, contact_id: UUID, query: InQuery[ReopenQuery]
) -> Response:
    """Take back that a conversation is done or snoozed, and show it."""
    await page.services.inbox.reopen([contact_id], rested=query.before())
    now = await page.services.inbox.get(contact_id)
    who = called(now.contact.name, now.contact.phone)
    words = f"{who} is back in the list."
    if now.snoozed_until is not None:
        words = f"{who} is snoozed until {page.clock.exact(now.snoozed_until)} again."
    elif now.state is ConversationState.DONE:
        words = f"{who} is done, as before."
    return await _show(page, contact_id, Flash(words))


@router.get("/conversations/{contact_id}/opt-out", dependencies=[MembersOnly])
async def ask_conversation_opt_out(page: PageDep, contact_id: UUID) -> Response:
    """Ask for the reason to opt out the contact of a conversation."""
    return await _ask_opt_out(page, contact_id)


@router.post("/conversations/{contact_id}/opt-out")
async def opt_out_of_conversation(
    page: PageDep, contact_id: UUID, form: InForm[ReasonFields]
) -> Response:
    """Opt the contact of a conversation out by hand, and show the next one."""
    with page.refusing():
        await page.services.suppressions.suppress(
            contact_id=contact_id,
            phone=None,
            sender_id=None,
            reason=form.reason,
            user_id=page.user.id,
        )
        contact = await page.services.contacts.get(contact_id)
        who = called(contact.name, contact.phone)
        return await _go_on(page, contact_id, Flash(f"{who} is opted out."))
    return await _ask_opt_out(page, contact_id, form)


@router.post("/conversations/act/{talk_act}")
async def act_on_conversations(
    page: PageDep, talk_act: TalkAct, form: InForm[TalksFields]
) -> Response:
    """Mark the conversations that are ticked done, or snooze them."""
    until = moment_of(form.snoozed_until, page.clock.zone, field="snoozed_until")
    if talk_act is TalkAct.SNOOZE and until is None:
        raise InvalidFieldError("snoozed_until", "is missing; choose a time")
    until = until if talk_act is TalkAct.SNOOZE else None
    away = await page.services.inbox.put_away(form.chosen(), until)
    words = f"snoozed until {page.clock.exact(until)}" if until else "marked done"
    told = [f"{_many(away.changed)} {words}."] if away.changed else []
    if away.wrote_again:
        told.append(f"{_many(away.wrote_again)} stayed, as they wrote again meanwhile.")
    undo = _undo(page.path_to("reopen_conversations"), away) if away.changed else ""
    flash = Flash(" ".join(told), undo=undo) if told else _nothing()
    if away.wrote_again:
        flash = replace(flash, kind="warning")
    return page.done(flash, event=PageEvent.TEXTS_CHANGED)


@router.post("/conversations/reopen")
async def reopen_conversations(page: PageDep, query: InQuery[ReopenQuery]) -> Response:
    """Take back that several conversations are done or snoozed."""
    reopened = await page.services.inbox.reopen(query.contact, rested=query.before())
    words = "as before" if query.rested else "back in the list"
    flash = Flash(f"{_many(reopened)} {words}.") if reopened else _nothing()
    return page.done(flash, event=PageEvent.TEXTS_CHANGED)


@router.post("/conversations/unknown/{message_id}/done")
async def dismiss_number(page: PageDep, message_id: UUID, form: InForm[HandlingFields]) -> Response:
    """Mark a number that is no contact's done, and show the next."""
    now = await page.services.unknown_numbers.dismiss(message_id, last_id=form.seen)
    if now.state is ConversationState.NEEDS_REPLY:
        return await _show_number(page, message_id, _WROTE_AGAIN)
    undo = page.path_to("reopen_number", message_id=message_id)
    return await _go_on_numbers(
        page, message_id, Flash(f"{readable(now.phone)} is done.", undo=undo)
    )


@router.post("/conversations/unknown/{message_id}/reopen")
async def reopen_number(page: PageDep, message_id: UUID) -> Response:
    """Take back that a number is done, and show it."""
    now = await page.services.unknown_numbers.reopen(message_id)
    return await _show_number(
        page, message_id, Flash(f"{readable(now.phone)} is back in the list.")
    )


@router.get("/conversations/unknown/{message_id}/opt-out", dependencies=[MembersOnly])
async def ask_number_opt_out(page: PageDep, message_id: UUID) -> Response:
    """Ask for the reason to opt out a number that is no contact's."""
    return await _ask_number_opt_out(page, message_id)


@router.post("/conversations/unknown/{message_id}/opt-out")
async def opt_out_unknown_number(
    page: PageDep, message_id: UUID, form: InForm[ReasonFields]
) -> Response:
    """Opt a number that is no contact's out by hand, and show the next."""
    with page.refusing(phone="reason"):
        number = await page.services.unknown_numbers.get(message_id, limit=1)
        await page.services.suppressions.suppress(
            contact_id=None,
            phone=number.phone,
            sender_id=None,
            reason=form.reason,
            user_id=page.user.id,
        )
        flash = Flash(f"{readable(number.phone)} is opted out.")
        return await _go_on_numbers(page, message_id, flash)
    return await _ask_number_opt_out(page, message_id, form)


def _change(form: HandlingFields) -> ConversationChange:
    change: ConversationChange = {}
    if form.owner_id is not None:
        given = form.owner_id
        change["owner_id"] = chosen_id(given, field="owner_id") if given else None
    if form.state is not None:
        change["state"] = form.state
    return change


def _put_away(page: Page, contact: ContactName, until: datetime | None, away: PutAway) -> Flash:
    words = f"snoozed until {page.clock.exact(until)}" if until else "is done"
    undo = _undo(page.path_to("reopen_conversation", contact_id=contact.id), away)
    return Flash(f"{called(contact.name, contact.phone)} {words}.", undo=undo)


def _undo(path: str, away: PutAway) -> str:
    """Return the address that has conversations be as they were."""
    rested = [
        f"{contact_id}:{until.isoformat() if until else ''}"
        for contact_id, until in away.rested.items()
    ]
    contacts = sorted(str(one) for one in away.changed if one not in away.rested)
    return address(path, contact=contacts, rested=sorted(rested))


async def _go_on(page: Page, contact_id: UUID, flash: Flash) -> Response:
    """Show who needs a reply next; another list than of those stays at who it was."""
    query = TalksQuery.shown_on(page)
    if query.only not in _GOES_ON:
        return await _show(page, contact_id, flash)
    wanted = query.wanted(page.user.id)
    return await _show(page, await page.services.inbox.following(contact_id, wanted), flash)


async def _show(page: Page, contact_id: UUID | None, flash: Flash) -> Response:
    """Show a conversation in the place of the one that is shown, or that all are done."""
    query = TalksQuery.shown_on(page).model_copy(update={"open": contact_id, "number": None})
    if contact_id is None:
        return _beside(page, query, flash, _ALL_DONE, {})
    shown = await thread(page, contact_id)
    return _beside(page, query, flash, "conversations/_thread.html", shown)


async def _go_on_numbers(page: Page, message_id: UUID, flash: Flash) -> Response:
    search = TalksQuery.shown_on(page).search
    following = await page.services.unknown_numbers.following(message_id, search=search)
    return await _show_number(page, following, flash)


async def _show_number(page: Page, message_id: UUID | None, flash: Flash) -> Response:
    query = TalksQuery.shown_on(page).model_copy(update={"number": message_id, "open": None})
    if message_id is None:
        return _beside(page, query, flash, _ALL_DONE, {})
    shown = await number_thread(page, message_id)
    return _beside(page, query, flash, "conversations/_unknown_thread.html", shown)


def _beside(
    page: Page, query: TalksQuery, flash: Flash, template: str, shown: Mapping[str, Any]
) -> Response:
    """Answer htmx with what is beside the list from now on, whatever asked for it."""
    response = page.part(template, flash=flash, back=back_to(page, query), **shown)
    response.headers["HX-Retarget"] = "#thread"
    response.headers["HX-Reswap"] = "innerHTML"
    response.headers["HX-Push-Url"] = address_beside(page, query)
    response.headers["HX-Trigger"] = "close-dialog"
    response.headers["HX-Trigger-After-Swap"] = PageEvent.TEXTS_CHANGED
    return response


async def _ask_opt_out(page: Page, contact_id: UUID, form: ReasonFields | None = None) -> Response:
    contact = await page.services.contacts.get(contact_id)
    return ask_reason(page, question_of(called(contact.name, contact.phone)), form or _ASKED)


async def _ask_number_opt_out(
    page: Page, message_id: UUID, form: ReasonFields | None = None
) -> Response:
    number = await page.services.unknown_numbers.get(message_id, limit=1)
    return ask_reason(page, question_of(readable(number.phone)), form or _ASKED)


def _many(contacts: Collection[UUID]) -> str:
    return f"{len(contacts)} conversation{'' if len(contacts) == 1 else 's'}"


def _nothing() -> Flash:
    return Flash("Nothing changed.", "info")
