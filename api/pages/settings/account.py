"""Settings > My account: one's own password, sessions and tokens."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import OwnAccount
from api.pages.addresses import PlaceQuery
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep
from api.pages.settings.tokens import TokenForm, token_context
from api.paging import InQuery
from api.session import take_cookie
from domain.access.preferences import Preference
from domain.platform.errors import InvalidFieldError
from services.access.tokens import NewToken

router = APIRouter()

_SESSIONS_MOST = 100


class PasswordFields(FormFields):
    """The current password, the new one twice, and whether API tokens are revoked too."""

    current_password: str = ""
    new_password: str = ""
    repeated: str = ""
    revoke_tokens: bool = False


@router.get("/settings/account")
async def show_account(page: PageDep, query: InQuery[PlaceQuery]) -> Response:
    """Show one's own user, sessions and tokens."""
    return await _render(page, query)


@router.post("/settings/account/password", dependencies=[OwnAccount])
async def change_own_password(page: PageDep, form: InForm[PasswordFields]) -> Response:
    """Change one's password; all sessions end, and the sign-in page follows."""
    with page.refusing():
        if form.new_password != form.repeated:
            raise InvalidFieldError("repeated", "does not match the new password")
        await page.services.own_password.change(
            page.user.id,
            current=form.current_password,
            new=form.new_password,
            revoke_tokens=form.revoke_tokens,
        )
        words = "Password changed. Sign in with the new one."
        response = page.redirect_to("show_sign_in", words)
        take_cookie(response, page.settings)
        return response
    return await _render(page, form=form)


@router.post("/settings/account/keyboard", dependencies=[OwnAccount])
async def change_keyboard(page: PageDep, single_keys: InForm[bool] = False) -> Response:  # noqa: FBT002
    """Turn one's single-key shortcuts on or off."""
    await page.services.preferences.put(page.user.id, Preference.SINGLE_KEYS, {"on": single_keys})
    words = "Single-key shortcuts are on." if single_keys else "Single-key shortcuts are off."
    return page.redirect_to("show_account", words)


@router.post("/settings/account/sessions/end-others", dependencies=[OwnAccount])
async def end_other_sessions(page: PageDep) -> Response:
    """End all of one's sessions except this one."""
    await page.services.sessions.end_others(page.caller)
    return page.redirect_to("show_account", "Signed out everywhere else.")


@router.post("/settings/account/sessions/{session_id}/end", dependencies=[OwnAccount])
async def end_own_session(page: PageDep, session_id: UUID) -> Response:
    """End one of one's sessions."""
    await page.services.sessions.end(page.caller, session_id)
    return page.redirect_to("show_account", "Signed out of that session.")


@router.post("/settings/account/tokens", dependencies=[OwnAccount])
async def create_own_token(page: PageDep, form: InForm[TokenForm]) -> Response:
    """Create a token; only this response shows it."""
    with form.refusing(page):
        return await _render(page, made=await form.grant(page, page.user.id))
    return await _render(page, token_form=form)


@router.post("/settings/account/tokens/{token_id}/revoke", dependencies=[OwnAccount])
async def revoke_own_token(page: PageDep, token_id: UUID) -> Response:
    """Revoke one of one's tokens."""
    await page.services.tokens.revoke(page.user.id, token_id)
    return page.redirect_to("show_account", "Token revoked.")


async def _render(
    page: Page,
    query: PlaceQuery | None = None,
    *,
    form: PasswordFields | None = None,
    token_form: TokenForm | None = None,
    made: NewToken | None = None,
) -> Response:
    path = page.path_to("show_account")
    sessions = await page.services.sessions.of_caller(page.caller, limit=_SESSIONS_MOST)
    return page.render(
        "settings/account.html",
        form=form or PasswordFields(revoke_tokens=True),
        sessions=sessions.items,
        **await token_context(page, page.user.id, path, query, token_form, made),
    )
