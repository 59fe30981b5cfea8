"""Settings > Users: who may use Segue and in which role, set-up links, tokens."""

from collections.abc import Mapping
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.addresses import PlaceQuery, listed
from api.pages.forms import FormFields, chosen
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.pages.settings.tokens import TokenForm, token_context
from api.paging import InQuery
from api.users import USER_CURSORS
from domain.statuses.access import Role
from services.access.set_up_links import SetUpLink, set_up_path
from services.access.tokens import NewToken

router = APIRouter(dependencies=[AdminOnly])

ROLE_WORDS = (
    (Role.VIEWER, "Viewer", "Can view everything but change nothing"),
    (Role.MEMBER, "Member", "Works with contacts, sequences and conversations"),
    (Role.ADMIN, "Admin", "Also manages users, senders, webhooks and the workspace"),
)
"""The roles: label and what each may do."""

_NO_ROLE = "is missing; choose one"


class NewUserFields(FormFields):
    """A new user."""

    email: str = ""
    name: str = ""
    role: str = Role.MEMBER


class UserFields(FormFields):
    """A user's name and role."""

    name: str = ""
    role: str = ""


@router.get("/settings/users")
async def show_users(page: PageDep, query: InQuery[PlaceQuery]) -> Response:
    """List users, disabled ones included."""
    find = page.services.users.find
    users, address = await listed(page.request.url.path, query, USER_CURSORS, find)
    return page.render(
        "settings/users.html", part="settings/_users.html", users=users, address=address
    )


@router.get("/settings/users/new")
async def new_user(page: PageDep) -> Response:
    """Show the dialog of a new user."""
    return page.part("settings/_user_form.html", form=NewUserFields(), roles=ROLE_WORDS)


@router.post("/settings/users")
async def create_user(page: PageDep, form: InForm[NewUserFields]) -> Response:
    """Add a user; only this response shows the link for their password."""
    with page.refusing():
        role = chosen(Role, form.role, field="role", reason=_NO_ROLE)
        user, link = await page.services.set_up_links.invite(
            email=form.email, name=form.name, role=role
        )
        shown = _shown(page, link)
        return page.part(
            "settings/_user_made.html", made=user, link=shown, event=PageEvent.USERS_CHANGED
        )
    return page.part("settings/_user_form.html", form=form, roles=ROLE_WORDS)


@router.get("/settings/users/{user_id}")
async def show_user(page: PageDep, user_id: UUID, query: InQuery[PlaceQuery]) -> Response:
    """Show a user and their tokens."""
    return await _render(page, user_id, query)


@router.post("/settings/users/{user_id}")
async def change_user(page: PageDep, user_id: UUID, form: InForm[UserFields]) -> Response:
    """Change a user's name or role."""
    with page.refusing():
        role = chosen(Role, form.role, field="role", reason=_NO_ROLE)
        await page.services.users.change(user_id, {"name": form.name, "role": role})
        return page.redirect_to("show_user", "User saved.", user_id=user_id)
    return await _render(page, user_id, form=form)


@router.post("/settings/users/{user_id}/set-up-links")
async def create_set_up_link(
    page: PageDep, user_id: UUID, *, revoke_tokens: InForm[bool] = False
) -> Response:
    """Create a link for a new password; only this response shows it."""
    with page.refusing():
        links = page.services.set_up_links
        link = await links.replace_password(user_id, revoke_tokens=revoke_tokens)
        return await _render(page, user_id, link=_shown(page, link))
    return await _render(page, user_id)


@router.post("/settings/users/{user_id}/disable")
async def disable_user(page: PageDep, user_id: UUID) -> Response:
    """Disable a user."""
    await page.services.users.change(user_id, {"disabled": True})
    return page.redirect_to("show_user", "User disabled.", user_id=user_id)


@router.post("/settings/users/{user_id}/enable")
async def enable_user(page: PageDep, user_id: UUID) -> Response:
    """Enable a user."""
    await page.services.users.change(user_id, {"disabled": False})
    return page.redirect_to("show_user", "User enabled.", user_id=user_id)


@router.post("/settings/users/{user_id}/tokens")
async def create_token(page: PageDep, user_id: UUID, form: InForm[TokenForm]) -> Response:
    """Create a token for a user; only this response shows it."""
    with form.refusing(page):
        return await _render(page, user_id, made=await form.grant(page, user_id))
    return await _render(page, user_id, token_form=form)


@router.post("/settings/users/{user_id}/tokens/{token_id}/revoke")
async def revoke_token(page: PageDep, user_id: UUID, token_id: UUID) -> Response:
    """Revoke one of a user's tokens."""
    await page.services.tokens.revoke(user_id, token_id)
    return page.redirect_to("show_user", "Token revoked.", user_id=user_id)


async def _render(
    page: Page,
    user_id: UUID,
    query: PlaceQuery | None = None,
    *,
    form: UserFields | None = None,
    token_form: TokenForm | None = None,
    made: NewToken | None = None,
    link: Mapping[str, object] | None = None,
) -> Response:
    whom = await page.services.users.get(user_id)
    path = page.path_to("show_user", user_id=user_id)
    return page.render(
        "settings/user.html",
        whom=whom,
        form=form or UserFields(name=whom.name, role=whom.role),
        roles=ROLE_WORDS,
        link=link,
        link_expires_at=await page.services.set_up_links.expiry_of(user_id),
        **await token_context(page, user_id, path, query, token_form, made),
    )


def _shown(page: Page, link: SetUpLink) -> Mapping[str, object]:
    url = f"{page.settings.public_base_url}{set_up_path(link.token)}"
    return {"url": url, "expires_at": link.expires_at}
