"""Saved views: filters, order and columns of a list under a name, for one user."""

from collections.abc import Sequence
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from domain.platform import names
from domain.platform.errors import InvalidFieldError, NotFoundError, required
from storage.access import saved_views
from storage.access.saved_views import SavedViewDetails
from storage.platform.database import Database

NAME_LENGTH = 60
"""Most characters of a name."""

QUERY_LENGTH = 4_000
"""Most characters of an address's query."""

MOST_VIEWS = 50
"""Most views of one list that a user has."""


class ViewedList(StrEnum):
    """A list whose views can be saved."""

    SEQUENCE_CONTACTS = "sequence_contacts"
    CONTACTS = "contacts"
    CONVERSATIONS = "conversations"


class SavedViews:
    """Manages each user's own views; nobody sees another's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, user_id: UUID, page: ViewedList) -> Sequence[SavedViewDetails]:
        """List a user's views of a list by name."""
        async with self._database.transaction() as tx:
            return await saved_views.find(tx, user_id, page)

    async def get(self, user_id: UUID, view_id: UUID) -> SavedViewDetails:
        """Read a view.

        Raises:
            NotFoundError: The user has no such view.
        """
        async with self._database.transaction() as tx:
            return required(await saved_views.get(tx, user_id, view_id), "view", view_id)

    async def save(
        self, user_id: UUID, page: ViewedList, *, name: str, query: str
    ) -> SavedViewDetails:
        """Save a view.

        Raises:
            InvalidFieldError: The name is invalid or another view's, the query is too long, or
                there are ``MOST_VIEWS``.
        """
        called, kept = names.clean(name, field="name", most=NAME_LENGTH), _cleaned(query)
        async with self._database.transaction() as tx:
            if len(await saved_views.find(tx, user_id, page)) >= MOST_VIEWS:
                raise InvalidFieldError(
                    "name", f"is one too many: there are {MOST_VIEWS} views; delete one first"
                )
            view_id = await saved_views.add(tx, user_id, page, called, kept)
            if view_id is None:
                raise _taken()
        return SavedViewDetails(view_id, page, called, kept)

    async def change(
        self, user_id: UUID, view_id: UUID, *, name: str, query: str | None = None
    ) -> SavedViewDetails:
        """Rename a view; with ``query``, replace what it shows too.

        Raises:
            InvalidFieldError: As ``save``.
            NotFoundError: The user has no such view.
        """
        called = names.clean(name, field="name", most=NAME_LENGTH)
        async with self._database.transaction() as tx:
            view = required(await saved_views.get(tx, user_id, view_id), "view", view_id)
            kept = view.query if query is None else _cleaned(query)
            if not await saved_views.change(tx, view_id, called, kept):
                raise _taken()
        return SavedViewDetails(view_id, view.page, called, kept)

    async def remove(self, user_id: UUID, view_id: UUID) -> None:
        """Delete a view.

        Raises:
            NotFoundError: The user has no such view.
        """
        async with self._database.transaction() as tx:
            if not await saved_views.remove(tx, user_id, view_id):
                raise NotFoundError("view", view_id)


def _taken() -> InvalidFieldError:
    return InvalidFieldError("name", "is another view's; choose another name")


def _cleaned(query: str) -> str:
    """Write a query anew, so that it is nothing but names and values."""
    if len(query) > QUERY_LENGTH:
        raise InvalidFieldError(
            "query", "has too many filters to be saved; take some back", code="too_long"
        )
    return urlencode(parse_qsl(query))
