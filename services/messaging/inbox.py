"""The inbox: conversations by their last text, whose they are, and whether they need a reply."""

from collections.abc import Awaitable, Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar
from uuid import UUID

from domain.contacts.names import ContactName, full_name
from domain.event_webhooks.events import ContactChange
from domain.platform.errors import InvalidFieldError, required
from domain.platform.filling import filled
from domain.platform.moments import check_ahead, written
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
from storage.messaging import inbox
from storage.messaging.inbox import ConversationFilter, Handling, LastText, LastTextOfContact
from storage.platform.database import Database, Transaction

SNIPPET_LENGTH = 120
"""Most characters of a text that the list shows."""

WAIT_MOST = timedelta(days=30)
"""Age up to which a text counts as one that needs a reply, in the number and in the pages' list."""


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
_Find = Callable[..., Awaitable[list[LastTextOfContact]]]


@dataclass(frozen=True)
class ListedConversation(LastSaid):
    """One line of the list: a contact, whose it is, and the text that gives it its place.

    ``answer`` is how our last text after that one fares, where lists go by what contacts write.
    """

    contact: ContactName
    owner: Named | None
    state: ConversationState
    snoozed_until: datetime | None
    answer: MessageStatus | None


@dataclass(frozen=True)
class ConversationDetails:
    """How the conversation with a contact stands.

    Attributes:
        owner: Whose inbox their replies belong to; None: everybody's.
        snoozed_until: When one that is snoozed is as it was again; None for all others.
        opted_out: Whether the number is suppressed for the whole deployment.
        last_message: None if nothing was said yet.
    """

    contact: ContactName
    owner: Named | None
    state: ConversationState
    snoozed_until: datetime | None
    opted_out: bool
    last_message: LastSaid | None


class ConversationChange(TypedDict, total=False):
    """What to change of a conversation; what is missing stays.

    ``last_message_id`` is the last text that the user saw; without it they saw all of them.
    """

    owner_id: UUID | None
    state: ConversationState
    snoozed_until: datetime | None
    last_message_id: UUID | None


class Inbox:
    """Lists conversations, and changes whose they are and whether they are done or snoozed."""

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

        Those alone that need a reply are listed by the text that waits for it.

        Raises:
            InvalidFieldError: The search cannot match anyone.
        """
        return await self._page(inbox.page, wanted, after, limit)

    async def page_by_reply(
        self,
        wanted: ConversationFilter | None = None,
        *,
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[ListedConversation]:
        """List contacts by the last text of theirs that asks for something, the latest first.

        Those who said nothing of the kind follow behind all others, by their last text.

        Raises:
            InvalidFieldError: The search cannot match anyone.
        """
        return await self._page(inbox.page_by_reply, wanted, after, limit)

    async def _page(
        self,
        find: _Find,
        wanted: ConversationFilter | None,
        after: Position | None,
        limit: int,
    ) -> Page[ListedConversation]:
        wanted = wanted or ConversationFilter()
        wanted = replace(wanted, search=clean_search(wanted.search))
        async with self._database.transaction() as tx:
            found = await find(tx, wanted, after=after, limit=limit + 1)
        return cut(found, limit, by_creation).showing(_listed)

    async def get(self, contact_id: UUID) -> ConversationDetails:
        """Read how the conversation with a contact stands.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, contact_id)

    async def change(self, contact_id: UUID, change: ConversationChange) -> ConversationDetails:
        """Change the owner of a contact, or whether their conversation is done or snoozed.

        ``done`` holds until the contact writes again; ``open`` takes it back, and so does
        ``needs_reply``. Then it needs a reply if the last word is theirs. With ``snoozed_until``
        it rests until then, or until the contact writes; None takes that back. What they wrote
        after ``last_message_id`` opens it again at once.

        Raises:
            NotFoundError: There is no such contact.
            InvalidFieldError: ``unknown_user``; ``computed_state``: it needs no reply, or is said
                to be snoozed without a moment; ``in_the_past`` or ``too_far_ahead``: no moment of
                the coming year.
        """
        async with self._database.transaction() as tx:
            contact = required(await contacts.get(tx, contact_id, lock=True), "contact", contact_id)
            if "owner_id" in change:
                require_owner(change, await possible_owners(tx, [change]), contact.owner_id)
                await _set_owner(tx, contact_id, change["owner_id"])
            if "state" in change:
                await _set_state(tx, contact_id, change)
            if "snoozed_until" in change:
                await _snooze(tx, contact_id, change)
            return await _details(tx, contact_id)

    async def owners(self) -> Many[Named]:
        """List the users who can own contacts, by name."""
        async with self._database.transaction() as tx:
            return await inbox.owners(tx)

    async def count_needing_reply(self, user_id: UUID, *, most: int) -> int:
        """Count what needs a reply of the contacts of a user and of nobody, at most so many.

        Only texts of the last 30 days are counted.
        """
        wanted = ConversationFilter(owners=[user_id], nobodys=True, age=WAIT_MOST)
        async with self._database.transaction() as tx:
            return await inbox.count_needing_reply(tx, wanted, most=most)


async def _set_owner(tx: Transaction, contact_id: UUID, owner_id: UUID | None) -> None:
    if await inbox.set_owner(tx, contact_id, owner_id):
        owner = str(owner_id) if owner_id else None
        await audit.record(tx, "contact.assign", "contact", [contact_id], owner_id=owner)
        await events.contacts_changed(tx, {contact_id: ["owner_id"]}, ContactChange.UPDATED)


async def _set_state(tx: Transaction, contact_id: UUID, change: ConversationChange) -> None:
    state = change["state"]
    match state:
        case ConversationState.DONE:
            if await inbox.put_away(tx, contact_id, last_id=change.get("last_message_id")):
                await audit.record(tx, "contact.close_conversation", "contact", [contact_id])
        case ConversationState.SNOOZED:
            if change.get("snoozed_until") is None:
                raise InvalidFieldError(
                    "state", "snoozed needs snoozed_until; send that", code="computed_state"
                )
        case ConversationState.OPEN | ConversationState.NEEDS_REPLY:
            await _reopen(tx, contact_id)
            is_now = (await _details(tx, contact_id)).state
            if state is ConversationState.NEEDS_REPLY and is_now is not state:
                raise InvalidFieldError(
                    "state",
                    "needs_reply follows from who wrote last, and that was not they; send open",
                    code="computed_state",
                )


async def _snooze(tx: Transaction, contact_id: UUID, change: ConversationChange) -> None:
    until = change["snoozed_until"]
    if until is None:
        if (await _details(tx, contact_id)).state is ConversationState.SNOOZED:
            await _reopen(tx, contact_id)
        return
    check_ahead(until, field="snoozed_until")
    if await inbox.put_away(tx, contact_id, until, last_id=change.get("last_message_id")):
        await audit.record(
            tx, "contact.snooze_conversation", "contact", [contact_id], until=written(until)
        )


async def _reopen(tx: Transaction, contact_id: UUID) -> None:
    if await inbox.reopen(tx, contact_id):
        await audit.record(tx, "contact.reopen_conversation", "contact", [contact_id])


async def _details(tx: Transaction, contact_id: UUID) -> ConversationDetails:
    contact = required(await contacts.get(tx, contact_id), "contact", contact_id)
    stands = required(await inbox.handling(tx, contact_id), "contact", contact_id)
    last = await inbox.last_text(tx, contact_id)
    return ConversationDetails(
        contact=ContactName(contact.id, contact.name, contact.phone),
        owner=Named.of(stands.owner_id, stands.owner_name),
        state=_state(stands, unanswered=last is not None and last.unanswered),
        snoozed_until=stands.snoozed_until,
        opted_out=contact.opted_out,
        last_message=_listed(last) if last else None,
    )


def _state(stands: Handling | LastTextOfContact, *, unanswered: bool) -> ConversationState:
    if stands.snoozed_until is not None:
        return ConversationState.SNOOZED
    if stands.done:
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
    state = _state(row, unanswered=row.unanswered)
    return last_said(
        ListedConversation,
        row,
        contact=ContactName(row.contact_id, name, row.phone),
        owner=Named.of(row.owner_id, row.owner_name),
        state=state,
        unanswered=state is ConversationState.NEEDS_REPLY,
    )
