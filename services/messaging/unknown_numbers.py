"""Numbers that have texted us and are no contact's."""

from collections.abc import Collection
from collections.abc import Sequence as Many
from dataclasses import dataclass
from uuid import UUID

from domain.platform.errors import NotFoundError
from domain.platform.names import clean_search
from domain.platform.paging import Page, Position, by_creation, cut
from services.messaging.conversations import ConversationText, LastSaid, last_said
from services.suppression.erasure import recall
from storage.messaging import conversations, unknown_numbers
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
    """A page of what came from a number.

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
    """Give those who have these numbers now what was known of the numbers before.

    That is the opt-outs of erased contacts and the texts that came from them. Call it in the
    transaction that writes the numbers, after writing them.
    """
    await recall(tx, phones)
    await unknown_numbers.claim(tx, phones)


class UnknownNumbers:
    """The use cases of numbers that have texted us and are no contact's.

    Args:
        database: PostgreSQL.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, *, search: str = "", after: Position | None = None, limit: int = 50
    ) -> Page[UnknownNumber]:
        """List them by their last text, the latest first.

        Args:
            search: Some of the number's digits; empty for all.
            after: Where the page begins.
            limit: Most items.

        Raises:
            InvalidFieldError: No number can be found by this search.
        """
        sought = clean_search(search)
        async with self._database.transaction() as tx:
            found = await unknown_numbers.page(tx, search=sought, after=after, limit=limit + 1)
        return cut(found, limit, by_creation).showing(
            lambda row: UnknownNumber(**last_said(row), id=row.first_id, phone=row.phone)
        )

    async def get(
        self, message_id: UUID, *, before: Position | None = None, limit: int = 50
    ) -> UnknownTexts:
        """Give a page of what came from a number, the newest unless another is asked for.

        Args:
            message_id: Any text that came from it.
            before: ``earlier`` of the page behind.
            limit: Most texts.

        Raises:
            NotFoundError: There is no such text.
        """
        async with self._database.transaction() as tx:
            number = await unknown_numbers.of_text(tx, message_id)
            if number is None:
                raise NotFoundError("message", message_id)
            found = (
                await conversations.texts(tx, None, number.phone, before=before, limit=limit + 1)
                if number.contact_id is None
                else []
            )
        shown = cut(found, limit, by_creation).showing(ConversationText.of)
        return UnknownTexts(
            phone=number.phone,
            contact_id=number.contact_id,
            opted_out=number.opted_out,
            texts=shown.items[::-1],
            earlier=shown.next,
        )
