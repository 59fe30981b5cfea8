"""Settings > My account: one's own password, sessions and tokens."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.dependencies import OwnAccount
from api.pages.addresses import PlaceQuery
from api.pages.flash import Flash
from api.pages.forms import NO_ERRORS, FormErrors, FormFields
from api.pages.page import Page, PageDep
from api.pages.settings.tokens import TokenForm, shown_tokens
from api.session import take_cookie
from domain.platform.errors import InvalidFieldError, SegueError
from services.access.tokens import NewToken

router = APIRouter()

_SESSIONS_MOST = 100


class PasswordFields(FormFields):
    """The present password, the new one twice, and whether tokens end too."""

    current_password: str = ""
    new_password: str = ""
    repeated: str = ""
    revoke_tokens: bool = False


@router.get("/settings/account")
async def show_account(page: PageDep, query: Annotated[PlaceQuery, Query()]) -> Response:
    """Show who one is, one's sessions and one's tokens."""
    return await _render(page, query)


@router.post("/settings/account/password", dependencies=[OwnAccount])
async def change_own_password(page: PageDep, form: Annotated[PasswordFields, Form()]) -> Response:
    """Take another password; all sessions end, so one signs in again with it."""
    try:
        if form.new_password != form.repeated:
            raise InvalidFieldError("repeated", "is not the same as the new password")
        await page.services.own_password.change(
            page.user.id,
            current=form.current_password,
            new=form.new_password,
            revoke_tokens=form.revoke_tokens,
        )
    except SegueError as error:
        return await _render(page, form=form, errors=FormErrors.of(error))
    response = page.redirect(
        page.path_to("show_sign_in"), "Your password is changed. Sign in with the new one."
    )
    take_cookie(response, page.settings)
    return response


@router.post("/settings/account/sessions/end-others", dependencies=[OwnAccount])
async def end_other_sessions(page: PageDep) -> Response:
    """End all of one's sessions but this one."""
    await page.services.sessions.end_others(page.signed_in)
    return _back(page, "You are signed out everywhere else.")


@router.post("/settings/account/sessions/{session_id}/end", dependencies=[OwnAccount])
async def end_own_session(page: PageDep, session_id: UUID) -> Response:
    """End one of one's sessions."""
    await page.services.sessions.end(page.signed_in, session_id)
    return _back(page, "That session is ended.")


@router.post("/settings/account/tokens", dependencies=[OwnAccount])
async def create_own_token(page: PageDep, form: Annotated[TokenForm, Form()]) -> Response:
    """Make a token; this answer is the only one that shows it."""
    try:
        made = await form.grant(page, page.user.id)
    except SegueError as error:
        return await _render(page, token_form=form, errors=form.errors_of(error))
    return await _render(page, made=made)


@router.post("/settings/account/tokens/{token_id}/revoke", dependencies=[OwnAccount])
async def revoke_own_token(page: PageDep, token_id: UUID) -> Response:
    """Make one of one's tokens useless."""
    await page.services.tokens.revoke(page.user.id, token_id)
    return _back(page, "The token is revoked.")


async def _render(
    page: Page,
    query: PlaceQuery | None = None,
    *,
    form: PasswordFields | None = None,
    token_form: TokenForm | None = None,
    made: NewToken | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    path = page.path_to("show_account")
    sessions = await page.services.sessions.of_caller(page.signed_in, limit=_SESSIONS_MOST)
    return page.render(
        "settings/account.html",
        form=form or PasswordFields(revoke_tokens=True),
        sessions=sessions.items,
        tokens=await shown_tokens(page, page.user.id, path, query),
        token_form=token_form or TokenForm.fresh(),
        made=made,
        errors=errors,
    )


def _back(page: Page, words: str) -> Response:
    return page.redirect(page.path_to("show_account"), Flash(words))
