"""Texts from numbers that belong to no contact."""

from collections.abc import Collection
from collections.abc import Sequence as Many
from dataclasses import dataclass
from uuid import UUID

from domain.platform.errors import ConflictError, required
from domain.platform.filling import filled
from domain.platform.names import clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.messaging import ConversationState
from services.messaging.conversations import ConversationText
from services.messaging.inbox import LastSaid, last_said, unknown_message
from services.platform import audit
from services.suppression.erasure import recall
from storage.messaging import conversations, recipients, unknown_numbers
from storage.messaging.unknown_numbers import TextedFrom, UnknownText
from storage.platform.database import Database, Transaction
from storage.platform.locks import lock_numbers


@dataclass(frozen=True)
class UnknownNumber(LastSaid):
    """One line of the list: a number and the last text that came from it.

    Attributes:
        id: Of the first text that came from it, by which it is known: numbers are in no address.
        phone: As the provider gave it; of a short code no contact can be made.
        state: ``done`` from when a person dismissed it until a text comes that asks for something.
    """

    id: UUID
    phone: str
    state: ConversationState

    @classmethod
    def of(cls, row: UnknownText) -> "UnknownNumber":
        """Read a row."""
        state = ConversationState.NEEDS_REPLY if row.unanswered else ConversationState.OPEN
        shown = ConversationState.DONE if row.done else state
        return last_said(cls, row, id=row.first_id, state=shown)


@dataclass(frozen=True)
class UnknownTexts:
    """A page of the texts from a number.

    Attributes:
        phone: As the provider gave it.
        contact_id: Who has the number by now, or whose the text is; then ``texts`` is empty.
        opted_out: Whether the number is suppressed for the whole deployment.
        state: How it stands; ``done`` once it is a contact's.
        texts: The oldest first, in the order they were stored.
        earlier: Where the page before begins; None if this one begins with the first text.
    """

    phone: str
    contact_id: UUID | None
    opted_out: bool
    state: ConversationState
    texts: Many[ConversationText]
    earlier: Position | None


async def made_known(tx: Transaction, phones: Collection[str]) -> None:
    """Give contacts who have these numbers now what the numbers had before.

    Those are opt-outs of erased contacts, and texts from unknown numbers. Texts to the contacts
    that wait for their time go to these numbers. Call it in the transaction that writes the
    numbers, after writing them.
    """
    await recall(tx, phones)
    await unknown_numbers.claim(tx, phones)
    await recipients.move_scheduled(tx, phones)


class UnknownNumbers:
    """Lists and reads texts from numbers that belong to no contact."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self,
        *,
        search: str = "",
        states: Many[ConversationState] = (),
        after: Position | None = None,
        limit: int = 50,
    ) -> Page[UnknownNumber]:
        """List numbers by their last text, the latest first; ``search`` is some of their digits.

        Raises:
            InvalidFieldError: The search cannot match any number.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            found = await unknown_numbers.page(
                tx, search=sought, states=states, after=after, limit=limit + 1
            )
        return cut(found, limit, by_creation).showing(UnknownNumber.of)

    async def dismiss(self, message_id: UUID, *, last_id: UUID | None = None) -> UnknownNumber:
        """Mark a number, named by any text from it, done, until a text comes that asks again.

        What came after ``last_id``, the last text that the user saw, keeps it open.

        Raises:
            NotFoundError: There is no such text.
            InvalidFieldError: ``unknown_message`` (``last_message_id``).
            ConflictError: ``is_contact``.
        """
        async with self._database.transaction() as tx:
            number = await _locked(tx, message_id)
            until = None
            if last_id is not None:
                until = await unknown_numbers.seen_at(tx, number.phone, last_id)
                if until is None:
                    raise unknown_message()
            if await unknown_numbers.dismiss(tx, number.phone, until):
                await audit.record(tx, "message.dismiss", "message", [message_id])
            return await _one(tx, message_id, number)

    async def reopen(self, message_id: UUID) -> UnknownNumber:
        """Take back that a number is done.

        Raises:
            NotFoundError: There is no such text.
            ConflictError: ``is_contact``.
        """
        async with self._database.transaction() as tx:
            number = await _locked(tx, message_id)
            if await unknown_numbers.take_back(tx, number.phone):
                await audit.record(tx, "message.reopen", "message", [message_id])
            return await _one(tx, message_id, number)

    async def following(self, message_id: UUID, *, search: str = "") -> UUID | None:
        """Find the number to answer after one: the next below in the list, else its first.

        Raises:
            InvalidFieldError: The search cannot match any number.
            NotFoundError: There is no such text.
        """
        sought, waits = clean_search(search), [ConversationState.NEEDS_REPLY]
        async with self._database.transaction() as tx:
            number = required(await unknown_numbers.of_text(tx, message_id), "message", message_id)
            now = await unknown_numbers.page(tx, phone=number.phone, limit=1)
            places: Many[Position | None] = [*map(by_creation, now), None]
            for after in places:
                found = await unknown_numbers.page(
                    tx, search=sought, states=waits, after=after, limit=1
                )
                if found:
                    return found[0].first_id
        return None

    async def get(
        self, message_id: UUID, *, before: Position | None = None, limit: int = 50
    ) -> UnknownTexts:
        """Read a page of the texts from a number, named by any of them; at first the newest.

        Raises:
            NotFoundError: There is no such text.
        """
        async with self._database.transaction() as tx:
            number = required(await unknown_numbers.of_text(tx, message_id), "message", message_id)
            found, state = [], ConversationState.DONE
            if number.contact_id is None:
                found = await conversations.texts(
                    tx, None, number.phone, after=before, limit=limit + 1
                )
                state = (await _one(tx, message_id, number)).state
        shown = cut(found, limit, by_creation).showing(ConversationText.of)
        return filled(
            UnknownTexts, number, state=state, texts=shown.items[::-1], earlier=shown.next
        )


async def _locked(tx: Transaction, message_id: UUID) -> TextedFrom:
    """Read the number of a text and lock it, if it is no contact's."""
    number = required(await unknown_numbers.of_text(tx, message_id), "message", message_id)
    await lock_numbers(tx, [number.phone])
    number = required(await unknown_numbers.of_text(tx, message_id), "message", message_id)
    if number.contact_id is not None:
        raise ConflictError(
            "is_contact",
            "the number is a contact's by now; change the contact's conversation instead",
        )
    return number


async def _one(tx: Transaction, message_id: UUID, number: TextedFrom) -> UnknownNumber:
    rows = await unknown_numbers.page(tx, phone=number.phone, limit=1)
    return UnknownNumber.of(required(next(iter(rows), None), "message", message_id))
