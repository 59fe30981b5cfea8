"""Texts from numbers that belong to no contact."""

from collections.abc import Collection
from collections.abc import Sequence as Many
from dataclasses import dataclass
from uuid import UUID

from domain.platform.errors import required
from domain.platform.filling import filled
from domain.platform.names import clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from services.messaging.conversations import ConversationText
from services.messaging.inbox import LastSaid, last_said
from services.suppression.erasure import recall
from storage.messaging import conversations, recipients, unknown_numbers
from storage.platform.database import Database, Transaction


@dataclass(frozen=True)
class UnknownNumber(LastSaid):
    """One line of the list: a number and the last text that came from it.

    Attributes:
        id: Of the first text that came from it, by which it is known: numbers are in no address.
        phone: As the provider gave it; of a short code no contact can be made.
    """

    id: UUID
    phone: str


@dataclass(frozen=True)
class UnknownTexts:
    """A page of the texts from a number.

    Attributes:
        phone: As the provider gave it.
        contact_id: Who has the number by now, or whose the text is; then ``texts`` is empty.
        opted_out: Whether the number is suppressed for the whole deployment.
        texts: The oldest first, in the order they were stored.
        earlier: Where the page before begins; None if this one begins with the first text.
    """

    phone: str
    contact_id: UUID | None
    opted_out: bool
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
        self, *, search: str = "", after: Position | None = None, limit: int = 50
    ) -> Page[UnknownNumber]:
        """List numbers by their last text, the latest first; ``search`` is some of their digits.

        Raises:
            InvalidFieldError: The search cannot match any number.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            found = await unknown_numbers.page(tx, search=sought, after=after, limit=limit + 1)
        return cut(found, limit, by_creation).showing(
            lambda row: last_said(UnknownNumber, row, id=row.first_id)
        )

    async def get(
        self, message_id: UUID, *, before: Position | None = None, limit: int = 50
    ) -> UnknownTexts:
        """Read a page of the texts from a number, named by any of them; at first the newest.

        Raises:
            NotFoundError: There is no such text.
        """
        async with self._database.transaction() as tx:
            number = required(await unknown_numbers.of_text(tx, message_id), "message", message_id)
            found = (
                await conversations.texts(tx, None, number.phone, after=before, limit=limit + 1)
                if number.contact_id is None
                else []
            )
        shown = cut(found, limit, by_creation).showing(ConversationText.of)
        return filled(UnknownTexts, number, texts=shown.items[::-1], earlier=shown.next)
