"""Settings > My account: one's own password and tokens."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form
from pydantic import Field
from starlette.responses import Response

from api.dependencies import OwnAccount
from api.pages.flash import Flash
from api.pages.forms import NO_ERRORS, FormErrors, FormFields
from api.pages.page import Page, PageDep
from api.session import take_cookie
from domain.errors import InvalidFieldError, SegueError
from domain.statuses import TokenScope
from services.users import NewToken

router = APIRouter()

TOKENS_MOST = 100
"""How many of somebody's tokens a page shows."""

DAYS = (("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("never", "Never"))
"""After how long a token may end."""


class PasswordFields(FormFields):
    """The present password, and the new one twice."""

    current_password: str = ""
    new_password: str = ""
    repeated: str = ""


class TokenFields(FormFields):
    """What a new token is for."""

    name: str = ""
    scopes: list[TokenScope] = Field(default_factory=list)
    days: str = "90"

    def expires_at(self, now: datetime) -> datetime | None:
        """Tell when the token ends; None for never.

        Raises:
            InvalidFieldError: That is not on offer.
        """
        if self.days not in dict(DAYS):
            raise InvalidFieldError("days", "is not on offer; choose one of the list")
        return None if self.days == "never" else now + timedelta(days=int(self.days))


@router.get("/settings/account")
async def show_account(page: PageDep) -> Response:
    """Show who one is, and one's tokens."""
    return await _render(page)


@router.post("/settings/account/password", dependencies=[OwnAccount])
async def change_own_password(page: PageDep, form: Annotated[PasswordFields, Form()]) -> Response:
    """Take another password; all sessions end, so one signs in again with it."""
    try:
        if form.new_password != form.repeated:
            raise InvalidFieldError("repeated", "is not the same as the new password")
        await page.services.sessions.change_password(
            page.user.id, current=form.current_password, new=form.new_password
        )
    except SegueError as error:
        return await _render(page, errors=FormErrors.of(error))
    response = page.redirect(
        page.path_to("show_sign_in"), "Your password is changed. Sign in with the new one."
    )
    take_cookie(response, page.settings)
    return response


@router.post("/settings/account/tokens", dependencies=[OwnAccount])
async def create_own_token(page: PageDep, form: Annotated[TokenFields, Form()]) -> Response:
    """Make a token; this answer is the only one that shows it."""
    try:
        made = await page.services.users.create_token(
            page.user.id, name=form.name, expires_at=form.expires_at(page.now), scopes=form.scopes
        )
    except SegueError as error:
        return await _render(page, token_form=form, errors=FormErrors.of(error, name="token_name"))
    return await _render(page, made=made)


@router.post("/settings/account/tokens/{token_id}/revoke", dependencies=[OwnAccount])
async def revoke_own_token(page: PageDep, token_id: UUID) -> Response:
    """Make one of one's tokens useless."""
    await page.services.users.revoke_token(page.user.id, token_id)
    return page.redirect(page.path_to("show_account"), Flash("The token is revoked."))


async def _render(
    page: Page,
    *,
    token_form: TokenFields | None = None,
    made: NewToken | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    tokens = await page.services.users.tokens_of(page.user.id, limit=TOKENS_MOST)
    return page.render(
        "settings/account.html",
        tokens=[token for token in tokens.items if token.revoked_at is None],
        token_form=token_form or TokenFields(scopes=list(TokenScope)),
        scopes=list(TokenScope),
        days=DAYS,
        made=made,
        errors=errors,
    )
