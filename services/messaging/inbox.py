"""The inbox: conversations by their last text, whose they are, and whether they need a reply."""

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar
from uuid import UUID

from domain.contacts.names import ContactName, full_name
from domain.event_webhooks.events import ContactChange
from domain.platform.errors import InvalidFieldError, required
from domain.platform.filling import filled
from domain.platform.names import Named, clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.messaging import (
    MESSAGE_LABELS,
    ConversationState,
    Direction,
    MessageStatus,
    shown_status,
)
from services.contacts.values import possible_owners, require_owner
from services.platform import audit
from storage.contacts import contacts
from storage.event_webhooks import events
from storage.messaging import conversations
from storage.messaging.conversations import ConversationFilter, LastText, LastTextOfContact
from storage.platform.database import Database, Transaction

SNIPPET_LENGTH = 120
"""Most characters of a text that the list shows."""

COUNTED_FOR = timedelta(days=30)
"""Age of the texts that the number of conversations that need a reply counts."""


@dataclass(frozen=True)
class LastSaid:
    """The last text to or from somebody, as a list shows it.

    Attributes:
        id: Of the text.
        opted_out: Whether the number is suppressed for the whole deployment.
        unanswered: Whether the last word is theirs, as far as it asks for an answer.
        snippet: Its beginning on one line; empty if it is media alone.
        at: When it was stored, UTC; the list's order.
    """

    id: UUID
    opted_out: bool
    unanswered: bool
    direction: Direction
    snippet: str
    media_count: int
    status: MessageStatus
    status_label: str
    at: datetime

    @property
    def last_message(self) -> "LastSaid":
        """The text, under the name that the API has for it."""
        return self


_Listed = TypeVar("_Listed", bound=LastSaid)


@dataclass(frozen=True)
class ListedConversation(LastSaid):
    """One line of the list: a contact, whose it is, and the last text with them."""

    contact: ContactName
    owner: Named | None
    state: ConversationState


@dataclass(frozen=True)
class ConversationDetails:
    """How the conversation with a contact stands.

    Attributes:
        owner: Whose inbox their replies belong to; None: everybody's.
        opted_out: Whether the number is suppressed for the whole deployment.
        last_message: None if nothing was said yet.
    """

    contact: ContactName
    owner: Named | None
    state: ConversationState
    opted_out: bool
    last_message: LastSaid | None


class ConversationChange(TypedDict, total=False):
    """What to change of a conversation; what is missing stays."""

    owner_id: UUID | None
    state: ConversationState


class Inbox:
    """Lists conversations, and changes whose they are and whether they are done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        wanted: ConversationFilter | None = None,
        *,
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[ListedConversation]:
        """List contacts by their last text, the latest first.

        Raises:
            InvalidFieldError: The search cannot match anyone.
        """
        wanted = wanted or ConversationFilter()
        wanted = replace(wanted, search=clean_search(wanted.search))
        async with self._database.transaction() as tx:
            found = await conversations.page(tx, wanted, after=after, limit=limit + 1)
        return cut(found, limit, by_creation).showing(_listed)

    async def get(self, contact_id: UUID) -> ConversationDetails:
        """Read how the conversation with a contact stands.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, contact_id)

    async def change(self, contact_id: UUID, change: ConversationChange) -> ConversationDetails:
        """Change the owner of a contact, or whether their conversation is done.

        ``done`` holds until the contact writes again; ``open`` takes it back, and so does
        ``needs_reply``. Then it needs a reply if the last word is theirs.

        Raises:
            NotFoundError: There is no such contact.
            InvalidFieldError: ``unknown_user``; ``computed_state``: it needs no reply.
        """
        async with self._database.transaction() as tx:
            contact = required(await contacts.get(tx, contact_id, lock=True), "contact", contact_id)
            if "owner_id" in change:
                require_owner(change, await possible_owners(tx, [change]), contact.owner_id)
                await _set_owner(tx, contact_id, change["owner_id"])
            if "state" in change:
                await _set_state(tx, contact_id, change["state"])
            return await _details(tx, contact_id)

    async def owners(self) -> Many[Named]:
        """List the users who can own contacts, by name."""
        async with self._database.transaction() as tx:
            return await conversations.owners(tx)

    async def count_needing_reply(self, user_id: UUID, *, most: int) -> int:
        """Count what needs a reply of the contacts of a user and of nobody, at most so many.

        Only texts of the last 30 days are counted.
        """
        wanted = ConversationFilter(owners=[user_id], nobodys=True)
        async with self._database.transaction() as tx:
            return await conversations.count_needing_reply(tx, wanted, age=COUNTED_FOR, most=most)


async def _set_owner(tx: Transaction, contact_id: UUID, owner_id: UUID | None) -> None:
    if await conversations.set_owner(tx, contact_id, owner_id):
        owner = str(owner_id) if owner_id else None
        await audit.record(tx, "contact.assign", "contact", [contact_id], owner_id=owner)
        await events.contacts_changed(tx, {contact_id: ["owner_id"]}, ContactChange.UPDATED)


async def _set_state(tx: Transaction, contact_id: UUID, state: ConversationState) -> None:
    match state:
        case ConversationState.DONE:
            if await conversations.set_done(tx, contact_id):
                await audit.record(tx, "contact.close_conversation", "contact", [contact_id])
        case ConversationState.OPEN | ConversationState.NEEDS_REPLY:
            if await conversations.reopen(tx, contact_id):
                await audit.record(tx, "contact.reopen_conversation", "contact", [contact_id])
            is_now = (await _details(tx, contact_id)).state
            if state is ConversationState.NEEDS_REPLY and is_now is not state:
                raise InvalidFieldError(
                    "state",
                    "needs_reply follows from who wrote last, and that was not they; send open",
                    code="computed_state",
                )


async def _details(tx: Transaction, contact_id: UUID) -> ConversationDetails:
    contact = required(await contacts.get(tx, contact_id), "contact", contact_id)
    stands = required(await conversations.handling(tx, contact_id), "contact", contact_id)
    last = await conversations.last_text(tx, contact_id)
    return ConversationDetails(
        contact=ContactName(contact.id, contact.name, contact.phone),
        owner=Named.of(stands.owner_id, stands.owner_name),
        state=_state(done=stands.done, unanswered=last is not None and last.unanswered),
        opted_out=contact.opted_out,
        last_message=_listed(last) if last else None,
    )


def _state(*, done: bool, unanswered: bool) -> ConversationState:
    if done:
        return ConversationState.DONE
    return ConversationState.NEEDS_REPLY if unanswered else ConversationState.OPEN


def last_said(kind: type[_Listed], row: LastText, **others: object) -> _Listed:
    """Make a line of a list of its last text, and of what the line has besides."""
    one_line = " ".join(row.body.split())
    cut = one_line if len(one_line) <= SNIPPET_LENGTH else one_line[: SNIPPET_LENGTH - 1] + "…"
    status = shown_status(row.status, row.send_at, row.next_try_at)
    return filled(
        kind,
        row,
        snippet=cut,
        media_count=len(row.media_urls),
        status=status,
        status_label=MESSAGE_LABELS[status],
        at=row.created_at,
        **others,
    )


def _listed(row: LastTextOfContact) -> ListedConversation:
    name = full_name(row.first_name, row.last_name)
    state = _state(done=row.done, unanswered=row.unanswered)
    return last_said(
        ListedConversation,
        row,
        contact=ContactName(row.contact_id, name, row.phone),
        owner=Named.of(row.owner_id, row.owner_name),
        state=state,
        unanswered=state is ConversationState.NEEDS_REPLY,
    )
