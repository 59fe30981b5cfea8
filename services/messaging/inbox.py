"""The inbox: conversations by their last text, whose they are, and whether they need a reply."""

from collections.abc import Awaitable, Callable, Collection, Mapping
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
from storage.contacts import contacts, owners
from storage.event_webhooks import events
from storage.messaging import handling, inbox, waiting
from storage.messaging.handling import Handling
from storage.messaging.inbox import ConversationFilter, LastText, LastTextOfContact
from storage.messaging.waiting import WaitingCounts
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

    ``answer`` is how our last text after that one fares, where lists go by what contacts write;
    ``answer_at`` when that goes, if it waits for its time.
    """

    contact: ContactName
    owner: Named | None
    state: ConversationState
    snoozed_until: datetime | None
    answer: MessageStatus | None
    answer_at: datetime | None


@dataclass(frozen=True)
class ConversationDetails:
    """How the conversation with a contact stands.

    Attributes:
        owner: Whose inbox their replies belong to; None: everybody's.
        snoozed_until: When one that is snoozed is as it was again; None for all others.
        scheduled_for: When the first text of ours that waits for its time goes; None without one.
        opted_out: Whether the number is suppressed for the whole deployment.
        last_message: None if nothing was said yet.
    """

    contact: ContactName
    owner: Named | None
    state: ConversationState
    snoozed_until: datetime | None
    scheduled_for: datetime | None
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


@dataclass(frozen=True)
class PutAway:
    """What became of conversations that were to be done or snoozed.

    Attributes:
        changed: The contacts of those that are so from now on.
        rested: Until when those of them were snoozed before that were; None if they were done.
        wrote_again: The contacts of those that stayed as they were, by a text that was not seen.
    """

    changed: Many[UUID]
    rested: Mapping[UUID, datetime | None]
    wrote_again: Many[UUID]


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
        it rests until then, or until the contact writes; None takes that back. If they wrote
        something after ``last_message_id``, it is neither done nor snoozed by that.

        Raises:
            NotFoundError: There is no such contact.
            InvalidFieldError: ``unknown_user``; ``unknown_message``; ``computed_state``: it needs
                no reply, or is said to be snoozed without a moment; ``in_the_past`` or
                ``too_far_ahead``: no moment of the coming year.
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

    async def put_away(
        self, seen: Mapping[UUID, UUID | None], until: datetime | None = None
    ) -> PutAway:
        """Mark conversations done, or snooze them until then.

        ``seen`` has the last text of each contact that the user saw, None for all of them. Contacts
        who are gone are left out.

        Raises:
            InvalidFieldError: ``unknown_message``; ``in_the_past`` or ``too_far_ahead``
                (``snoozed_until``).
        """
        if until is not None:
            check_ahead(until, field="snoozed_until")
        async with self._database.transaction() as tx:
            here = await owners.lock(tx, list(seen))
            return await _put_away(tx, {one: seen[one] for one in here}, until)

    async def reopen(
        self, contact_ids: Collection[UUID], *, rested: Mapping[UUID, datetime | None] | None = None
    ) -> Collection[UUID]:
        """Take back that conversations are done or snoozed; return the contacts of those.

        ``rested`` says of which ones to take back only the last of it, as ``PutAway`` has it.
        """
        before = rested or {}
        async with self._database.transaction() as tx:
            here = await owners.lock(tx, [*contact_ids, *before])
            again = {one: before[one] for one in here if one in before}
            reopened = await _reopen(tx, [one for one in here if one not in again])
            put_back = await handling.put_back(tx, again)
            for until in {again[one] for one in put_back}:
                await _note(tx, [one for one in put_back if again[one] == until], until)
            return [*reopened, *put_back]

    async def following(self, contact_id: UUID, wanted: ConversationFilter) -> UUID | None:
        """Find whom to answer after a contact: the next below in the list by reply, else its first.

        Raises:
            InvalidFieldError: The search cannot match anyone.
        """
        wanted = replace(
            wanted,
            states=[ConversationState.NEEDS_REPLY],
            search=clean_search(wanted.search),
            age=WAIT_MOST,
        )
        async with self._database.transaction() as tx:
            place = await inbox.last_asked(tx, contact_id)
            found = await inbox.page_by_reply(tx, wanted, after=place, limit=1)
            if not found and place is not None:
                found = await inbox.page_by_reply(tx, wanted, after=None, limit=1)
        return found[0].contact_id if found else None

    async def owners(self) -> Many[Named]:
        """List the users who can own contacts and answer them, by name."""
        async with self._database.transaction() as tx:
            return await handling.owners(tx)

    async def count_waiting(self, user_id: UUID, *, most: int) -> WaitingCounts:
        """Count what waits for a user, each at most so many: replies and open reviews.

        Conversations are those of the user's contacts and of nobody's. Only texts of the last 30
        days are counted.
        """
        async with self._database.transaction() as tx:
            return await waiting.count(tx, user_id, WAIT_MOST, most=most)


async def _set_owner(tx: Transaction, contact_id: UUID, owner_id: UUID | None) -> None:
    if await handling.set_owner(tx, contact_id, owner_id):
        owner = str(owner_id) if owner_id else None
        await audit.record(tx, "contact.assign", "contact", [contact_id], owner_id=owner)
        await events.contacts_changed(tx, {contact_id: ["owner_id"]}, ContactChange.UPDATED)


async def _set_state(tx: Transaction, contact_id: UUID, change: ConversationChange) -> None:
    state = change["state"]
    match state:
        case ConversationState.DONE:
            await _put_away(tx, {contact_id: change.get("last_message_id")})
        case ConversationState.SNOOZED:
            if change.get("snoozed_until") is None:
                raise InvalidFieldError(
                    "state", "snoozed needs snoozed_until; send that", code="computed_state"
                )
        case ConversationState.OPEN | ConversationState.NEEDS_REPLY:
            await _reopen(tx, [contact_id])
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
            await _reopen(tx, [contact_id])
        return
    check_ahead(until, field="snoozed_until")
    await _put_away(tx, {contact_id: change.get("last_message_id")}, until)


async def _put_away(
    tx: Transaction, seen: Mapping[UUID, UUID | None], until: datetime | None = None
) -> PutAway:
    changed: dict[UUID, datetime] = {}
    rested: dict[UUID, datetime | None] = {}
    wrote_again = []
    for one in await handling.as_seen(tx, seen):
        if one.seen_at is None:
            raise unknown_message()
        if one.wrote_since:
            wrote_again.append(one.contact_id)
        elif not one.rests or one.snoozed_until != until:
            changed[one.contact_id] = one.seen_at
            if one.rests:
                rested[one.contact_id] = one.snoozed_until
    await handling.put_away(tx, changed, until)
    await _note(tx, list(changed), until)
    return PutAway(list(changed), rested, wrote_again)


async def _note(tx: Transaction, contact_ids: Collection[UUID], until: datetime | None) -> None:
    act, told = "contact.close_conversation", dict[str, str]()
    if until is not None:
        act, told = "contact.snooze_conversation", {"until": written(until)}
    await audit.record_each(tx, act, "contact", dict.fromkeys(contact_ids, told))


def unknown_message() -> InvalidFieldError:
    """Make the error of a last text that is not of the conversation it is said to be of."""
    reason = "is no text of this conversation; name the last one that was seen, or leave it out"
    return InvalidFieldError("last_message_id", reason, code="unknown_message")


async def _reopen(tx: Transaction, contact_ids: Collection[UUID]) -> Collection[UUID]:
    reopened = await handling.reopen(tx, contact_ids)
    if reopened:
        await audit.record(tx, "contact.reopen_conversation", "contact", reopened)
    return reopened


async def _details(tx: Transaction, contact_id: UUID) -> ConversationDetails:
    contact = required(await contacts.get(tx, contact_id), "contact", contact_id)
    stands = required(await handling.handling(tx, contact_id), "contact", contact_id)
    last = await inbox.last_text(tx, contact_id)
    return ConversationDetails(
        contact=ContactName(contact.id, contact.name, contact.phone),
        owner=Named.of(stands.owner_id, stands.owner_name),
        state=_state(stands, unanswered=last is not None and last.unanswered),
        snoozed_until=stands.snoozed_until,
        scheduled_for=await inbox.scheduled_for(tx, contact_id),
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
