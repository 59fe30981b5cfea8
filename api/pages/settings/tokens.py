"""API tokens on pages: the form that makes one, and the list of somebody's."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from api.pages.addresses import Addresses, PlaceQuery
from api.pages.forms import FormErrors, FormFields
from api.pages.page import Page
from api.paging import Cursors
from domain.platform.errors import InvalidFieldError, SegueError
from domain.statuses.access import TokenScope
from services.access.tokens import NewToken, TokenDetails

_SORT = "-created_at"
_CURSORS = Cursors("tokens", {"created_at": datetime})
_ROWS = 50


class TokenForm(FormFields):
    """What a new token is for; ``password`` is of whoever makes it."""

    DAYS: ClassVar = (("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("never", "Never"))
    """After how long a token may expire."""

    SCOPES: ClassVar = tuple(TokenScope)
    """What it may be used for."""

    name: str = ""
    scopes: list[TokenScope] = Field(default_factory=list)
    days: str = "90"
    password: str = ""

    @classmethod
    def fresh(cls) -> "TokenForm":
        """Give the form as it is offered: with the least scope."""
        return cls(scopes=[TokenScope.READ])

    async def grant(self, page: Page, user_id: UUID) -> NewToken:
        """Make the token for a user.

        Raises:
            SegueError: It cannot be made; see ``errors_of``.
        """
        expires_at = self._expires_at(page.now)
        return await page.services.tokens.grant(
            page.signed_in,
            user_id,
            {"name": self.name, "scopes": self.scopes, "expires_at": expires_at},
            password=self.password,
        )

    @staticmethod
    def errors_of(error: SegueError) -> FormErrors:
        """Read a refusal: its page has more than one field of some names."""
        return FormErrors.of(
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
    """One page of somebody's tokens.

    Attributes:
        items: The newest first.
        previous: The address of the page before; None on the first.
        following: The address of the next page; None on the last.
    """

    items: list[TokenDetails]
    previous: str | None
    following: str | None


async def shown_tokens(
    page: Page, user_id: UUID, path: str, query: PlaceQuery | None
) -> ShownTokens:
    """Give a user's tokens for a page at ``path``; without a query, the first of them."""
    place = query or PlaceQuery()
    cursors = _CURSORS.within(user_id)
    after = cursors.read(place.cursor, _SORT)
    found = await page.services.tokens.of_user(user_id, after=after, limit=_ROWS)
    address = Addresses(path, place)
    following = address.following(cursors.write(found.next, _SORT))
    return ShownTokens(list(found.items), address.previous, following)
