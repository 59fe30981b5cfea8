"""API tokens on pages: the form for a new one, and a user's list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from api.pages.addresses import Addresses, PlaceQuery
from api.pages.forms import FormFields
from api.pages.page import Page
from api.paging import Cursors
from domain.platform.errors import InvalidFieldError, SegueError
from domain.statuses.access import TokenScope
from services.access.tokens import NewToken, TokenDetails

_SORT = "-created_at"
_CURSORS = Cursors("tokens", {"created_at": datetime})
_ROWS = 50


class TokenForm(FormFields):
    """A new token; ``password`` is that of the user who creates it."""

    DAYS: ClassVar = (("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("never", "Never"))
    """Choices of a token's lifetime."""

    SCOPES: ClassVar = tuple(TokenScope)
    """Choices of a token's scopes."""

    name: str = ""
    scopes: list[TokenScope] = Field(default_factory=list)
    days: str = "90"
    password: str = ""

    @classmethod
    def fresh(cls) -> "TokenForm":
        """Return the form as it is offered, with the least scope."""
        return cls(scopes=[TokenScope.READ])

    async def grant(self, page: Page, user_id: UUID) -> NewToken:
        """Create the token for a user.

        Raises:
            SegueError: It cannot be created; pass it to ``refuse``.
        """
        expires_at = self._expires_at(page.now)
        return await page.services.tokens.grant(
            page.signed_in,
            user_id,
            {"name": self.name, "scopes": self.scopes, "expires_at": expires_at},
            password=self.password,
        )

    @staticmethod
    def refuse(page: Page, error: SegueError) -> None:
        """Show an error beside this form's fields; others of the page have the same names."""
        page.refuse(
            error,
            name="token_name",
            password="token_password",  # noqa: S106 - a field's name
            expires_at="days",
        )

    def _expires_at(self, now: datetime) -> datetime | None:
        if self.days not in dict(self.DAYS):
            raise InvalidFieldError("days", "is not on offer; choose one of the list")
        return None if self.days == "never" else now + timedelta(days=int(self.days))


@dataclass(frozen=True)
class ShownTokens:
    """One page of a user's tokens, newest first."""

    items: Sequence[TokenDetails]
    address: Addresses


async def shown_tokens(
    page: Page, user_id: UUID, path: str, query: PlaceQuery | None
) -> ShownTokens:
    """Return a page of a user's tokens, shown at ``path``; the first page without a query."""
    place = query or PlaceQuery()
    cursors = _CURSORS.within(user_id)
    after = cursors.read(place.cursor, _SORT)
    found = await page.services.tokens.of_user(user_id, after=after, limit=_ROWS)
    return ShownTokens(found.items, Addresses(path, place, cursors.write(found.next, _SORT)))
