"""The reply box: sending, saved replies to insert, and hours in which one had better not."""

from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import Sends
from api.pages.conversations.handling import when_sent
from api.pages.flash import Flash
from api.pages.forms import FormErrors, FormFields, chosen_id
from api.pages.page import InForm, Page, PageDep, PageEvent
from domain.messaging.snoozing import send_offers
from domain.platform.errors import InvalidFieldError
from services.messaging.conversations import Conversation, ConversationText

router = APIRouter()

_OUR_YEARS = range(1900, 2200)
_LOOKED_THROUGH = 20  # the latest texts, for an answer of a colleague's


def moment_of(written: str, zone: str, *, field: str) -> datetime | None:
    """Read a date and time as browsers write them, without a zone on the clock of the one given.

    Gives None of an empty text.

    Raises:
        InvalidFieldError: It is no date and time.
    """
    if not written.strip():
        return None
    try:
        moment: datetime | None = datetime.fromisoformat(written.strip())
    except ValueError:
        moment = None
    if moment is None or moment.year not in _OUR_YEARS:
        raise InvalidFieldError(field, "is not a date and time; choose one")
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))


class ReplyFields(FormFields):
    """A reply; ``message_id`` keeps it from being sent twice.

    Attributes:
        media: Addresses of pictures, one a line.
        send_at: A date and time on the contact's clock; only the button beside it sends then.
        zone: That clock, as the form said.
        send_next: The moment of another button that sends later, if that was pressed.
        schedule: Not empty if the button beside ``send_at`` was pressed.
        last_message_id: The last text when the box was shown, empty if there was none; without it
            nobody is asked whether to answer after a colleague did.
        seen: The last text that the page shows by now.
    """

    message_id: UUID = Field(default_factory=uuid4)
    body: str = ""
    sender_id: str = ""
    media: str = ""
    send_at: str = ""
    zone: str = ""
    send_next: str = ""
    schedule: str = ""
    last_message_id: str | None = None
    seen: UUID | None = None

    @property
    def media_urls(self) -> tuple[str, ...]:
        """The addresses without blank lines."""
        return tuple(line.strip() for line in self.media.splitlines() if line.strip())

    def moment(self, zone: str) -> datetime | None:
        """Read when to send it, on the clock of the contact's zone; None for now.

        Raises:
            InvalidFieldError: It is no date and time, or none; or the form had another clock.
        """
        if not self.schedule:
            return moment_of(self.send_next, zone, field="send_at")
        if not self.send_at.strip():
            raise InvalidFieldError("send_at", "is missing; choose a date and time")
        if self.zone != zone:
            reason = (
                f"was typed on another clock: the contact's time zone is {zone} now; check the"
                " time, and press Schedule again"
            )
            raise InvalidFieldError("send_at", reason)
        return moment_of(self.send_at, zone, field="send_at")


@router.post("/conversations/{contact_id}/reply", dependencies=[Sends])
async def send_reply(page: PageDep, contact_id: UUID, form: InForm[ReplyFields]) -> Response:
    """Text a contact, now or later; show the reply box empty, or as typed with its errors."""
    return await box_after(page, contact_id, form, await send(page, contact_id, form))


@router.get("/conversations/{contact_id}/hours")
async def show_hours(page: PageDep, contact_id: UUID) -> Response:
    """Say whether it is a decent hour to text a contact, and offer times to send later."""
    contact = await page.services.contacts.get(contact_id)
    hours = await _hours(page, contact_id)
    return page.part("conversations/_hours.html", contact=contact, form=ReplyFields(), **hours)


@router.get("/conversations/{contact_id}/saved-replies")
async def show_replies_to_insert(page: PageDep, contact_id: UUID) -> Response:
    """List the saved replies with the contact's values filled in."""
    saved = await page.services.saved_replies.for_contact(contact_id, page.user.id)
    return page.part("conversations/_saved_replies.html", saved=saved)


async def send(page: Page, contact_id: UUID, form: ReplyFields) -> Flash | None:
    """Text a contact, now or later, and say when it goes; the page has the errors."""
    if form.last_message_id is not None:
        talk = await page.services.conversations.get(contact_id, limit=_LOOKED_THROUGH)
        theirs = _colleagues(talk, form, page.user.id)
        if theirs is not None and theirs.user is not None:
            # The box that is shown for it knows of that text: the next Send sends.
            words = (
                f"{theirs.user.name} answered meanwhile, at {page.clock.time_of(theirs.at)}. Yours"
                " is not sent yet. Read that first, and press Send again if yours should go too."
            )
            page.errors = FormErrors(general=words, status=409)
            return None
    lines = {f"media_urls.{index}": "media" for index in range(len(form.media_urls))}
    with page.refusing(media_urls="media", **lines):
        zone = (await page.services.replying_hours.of(contact_id, page.now)).zone
        at = form.moment(zone)
        await page.services.conversations.reply(
            form.message_id,
            contact_id,
            form.body,
            page.user.id,
            sender_id=chosen_id(form.sender_id, field="sender_id") if form.sender_id else None,
            media_urls=form.media_urls,
            send_at=at,
        )
        if at is not None:
            undo = page.path_to("cancel_text", message_id=form.message_id)
            talk = await page.services.conversations.get(contact_id, limit=1)
            words = (await when_sent(page, talk.contact))(at)
            return Flash(f"Reply scheduled for {words}.", undo=undo)
    return None


async def box_after(
    page: Page, contact_id: UUID, form: ReplyFields, flash: Flash | None
) -> Response:
    """Show the reply box after ``send``: empty, or as typed with its errors."""
    talk = await page.services.conversations.get(contact_id, limit=1)
    box = await reply_box(page, talk, form if page.errors else None)
    event = None if page.errors.fields else PageEvent.TEXTS_CHANGED
    return page.part("conversations/_reply.html", event=event, flash=flash, **box)


def _colleagues(talk: Conversation, form: ReplyFields, user_id: UUID) -> ConversationText | None:
    """Return what a colleague wrote to the contact since the box was shown; None if nobody did."""
    for text in reversed(talk.texts):
        if str(text.id) in {form.last_message_id, str(form.message_id)}:
            return None
        is_by_hand = text.origin is None or text.origin.step is None
        if is_by_hand and text.user is not None and text.user.id != user_id:
            return text
    return None


async def reply_box(
    page: Page, talk: Conversation, form: ReplyFields | None = None
) -> dict[str, Any]:
    """Return what the reply box shows: the senders too, if the contact knows none."""
    asks_sender = talk.reply.sender is None and talk.reply.refusal is None
    senders = await page.sender_options() if asks_sender else []
    return {
        "talk": talk,
        "contact": talk.contact,
        "form": form or ReplyFields(),
        "sender_options": senders,
        **await _hours(page, talk.contact.id),
    }


async def _hours(page: Page, contact_id: UUID) -> dict[str, Any]:
    """Return when a contact may be texted, and the times that are offered for later."""
    hours = await page.services.replying_hours.of(contact_id, page.now)
    return {"hours": hours, "quiet": hours.quiet, "later": send_offers(page.now, hours.zone)}
