"""API tokens on pages: the form for a new one, and a user's list."""

from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import UUID

from pydantic import Field

from api.pages.addresses import PlaceQuery, listed
from api.pages.forms import FormFields
from api.pages.page import Page
from api.users import TOKEN_CURSORS
from domain.platform.errors import InvalidFieldError
from domain.statuses.access import TokenScope
from services.access.tokens import NewToken


class TokenForm(FormFields):
    """A new token; ``password`` is that of the user who creates it."""

    DAYS: ClassVar = (
        ("30", "In 30 days"),
        ("90", "In 90 days"),
        ("365", "In a year"),
        ("never", "Never"),
    )
    """Choices of a token's lifetime."""

    SCOPES: ClassVar = tuple(TokenScope)
    """Choices of a token's scopes."""

    name: str = ""
    scopes: list[TokenScope] = Field(default_factory=list)
    days: str = "90"
    password: str = ""

    async def grant(self, page: Page, user_id: UUID) -> NewToken:
        """Create the token for a user; within ``refusing``."""
        expires_at = self._expires_at(page.now)
        return await page.services.tokens.grant(
            page.caller,
            user_id,
            {"name": self.name, "scopes": self.scopes, "expires_at": expires_at},
            password=self.password,
        )

    @staticmethod
    def refusing(page: Page) -> AbstractContextManager[None, bool]:
        """Show an error beside this form's fields; others of the page have the same names."""
        return page.refusing(
            name="token_name",
            password="token_password",  # noqa: S106 - a field's name
            expires_at="days",
        )

    def _expires_at(self, now: datetime) -> datetime | None:
        if self.days not in dict(self.DAYS):
            raise InvalidFieldError("days", "must be one of the choices listed")
        return None if self.days == "never" else now + timedelta(days=int(self.days))


async def token_context(
    page: Page,
    user_id: UUID,
    path: str,
    query: PlaceQuery | None,
    form: TokenForm | None,
    made: NewToken | None,
) -> dict[str, Any]:
    """Return what ``settings/_tokens.html`` shows: a user's tokens, newest first, and the form.

    ``made`` is a token that was just created; this is the only time that it is shown.
    """
    find = partial(page.services.tokens.of_user, user_id)
    cursors = TOKEN_CURSORS.within(user_id)
    tokens, address = await listed(path, query or PlaceQuery(), cursors, find)
    return {
        "tokens": tokens,
        "token_address": address,
        "token_form": form or TokenForm(scopes=[TokenScope.READ]),
        "made": made,
    }
