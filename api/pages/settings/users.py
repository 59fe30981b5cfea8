"""Settings > Users: who may use Segue and as what, their set-up links and their tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.pages.addresses import Addresses, PlaceQuery
from api.pages.flash import Flash
from api.pages.forms import NO_ERRORS, FormErrors, FormFields
from api.pages.page import Page, PageDep
from api.pages.settings.tokens import TokenForm, shown_tokens
from api.paging import Cursors
from domain.platform.errors import InvalidFieldError, SegueError
from domain.statuses.access import Role
from services.access.set_up_links import SetUpLink, set_up_path
from services.access.tokens import NewToken
from services.access.users import UserDetails

router = APIRouter(dependencies=[AdminOnly])

USERS_CHANGED = "users-changed"
"""What the browser is told when a user was added, for the list to load anew."""

ROLE_WORDS = (
    (Role.VIEWER, "Viewer", "Sees everything, changes nothing"),
    (Role.MEMBER, "Member", "Works with contacts, sequences and conversations"),
    (Role.ADMIN, "Admin", "Also manages users, senders, webhooks and the workspace"),
)
"""The roles, with what each may do."""

_SORT = "created_at"
_CURSORS = Cursors("users", {_SORT: datetime})
_ROWS = 50


class NewUserFields(FormFields):
    """Somebody to be added."""

    email: str = ""
    name: str = ""
    role: str = Role.MEMBER


class UserFields(FormFields):
    """What is changed of a user."""

    name: str = ""
    role: str = ""


class LinkFields(FormFields):
    """What ends along with somebody's password."""

    revoke_tokens: bool = False


@dataclass(frozen=True)
class ShownLink:
    """A link as it is handed over, and until when it can be used."""

    url: str
    expires_at: datetime


@router.get("/settings/users")
async def show_users(page: PageDep, query: Annotated[PlaceQuery, Query()]) -> Response:
    """Show everyone who may use Segue, or might once."""
    found = await page.services.users.find(after=_CURSORS.read(query.cursor, _SORT), limit=_ROWS)
    address = Addresses(page.request.url.path, query)
    return page.render(
        "settings/users.html",
        part="settings/_users.html",
        users=found.items,
        address=address,
        following=address.following(_CURSORS.write(found.next, _SORT)),
    )


@router.get("/settings/users/new")
async def new_user(page: PageDep) -> Response:
    """Ask who it is."""
    return page.part("settings/_user_form.html", form=NewUserFields(), roles=ROLE_WORDS)


@router.post("/settings/users")
async def create_user(page: PageDep, form: Annotated[NewUserFields, Form()]) -> Response:
    """Add a user; the link for their password is shown in this answer alone."""
    try:
        user, link = await page.services.set_up_links.invite(
            email=form.email, name=form.name, role=_role(form.role)
        )
    except SegueError as error:
        errors = FormErrors.of(error)
        return page.part("settings/_user_form.html", form=form, roles=ROLE_WORDS, errors=errors)
    shown = _shown(page, link)
    return page.part("settings/_user_made.html", made=user, link=shown, events=[USERS_CHANGED])


@router.get("/settings/users/{user_id}")
async def show_user(
    page: PageDep, user_id: UUID, query: Annotated[PlaceQuery, Query()]
) -> Response:
    """Show a user, what may be changed of them, and their tokens."""
    return await _render(page, user_id, query)


@router.post("/settings/users/{user_id}")
async def change_user(
    page: PageDep, user_id: UUID, form: Annotated[UserFields, Form()]
) -> Response:
    """Give a user another name or role."""
    try:
        await page.services.users.change(user_id, {"name": form.name, "role": _role(form.role)})
    except SegueError as error:
        return await _render(page, user_id, form=form, errors=FormErrors.of(error))
    return _back(page, user_id, "The user is saved.")


@router.post("/settings/users/{user_id}/set-up-links")
async def create_set_up_link(
    page: PageDep, user_id: UUID, form: Annotated[LinkFields, Form()]
) -> Response:
    """Make a link for another password; it is shown in this answer alone."""
    try:
        link = await page.services.set_up_links.replace_password(
            user_id, revoke_tokens=form.revoke_tokens
        )
    except SegueError as error:
        return await _render(page, user_id, errors=FormErrors.of(error))
    return await _render(page, user_id, link=_shown(page, link))


@router.post("/settings/users/{user_id}/disable")
async def disable_user(page: PageDep, user_id: UUID) -> Response:
    """Let a user do nothing any more."""
    await page.services.users.change(user_id, {"disabled": True})
    return _back(page, user_id, "The user is disabled.")


@router.post("/settings/users/{user_id}/enable")
async def enable_user(page: PageDep, user_id: UUID) -> Response:
    """Let a user in again."""
    await page.services.users.change(user_id, {"disabled": False})
    return _back(page, user_id, "The user is enabled.")


@router.post("/settings/users/{user_id}/tokens")
async def create_token(
    page: PageDep, user_id: UUID, form: Annotated[TokenForm, Form()]
) -> Response:
    """Make a token for a user; this answer is the only one that shows it."""
    try:
        made = await form.grant(page, user_id)
    except SegueError as error:
        return await _render(page, user_id, token_form=form, errors=form.errors_of(error))
    return await _render(page, user_id, made=made)


@router.post("/settings/users/{user_id}/tokens/{token_id}/revoke")
async def revoke_token(page: PageDep, user_id: UUID, token_id: UUID) -> Response:
    """Make one of a user's tokens useless."""
    await page.services.tokens.revoke(user_id, token_id)
    return _back(page, user_id, "The token is revoked.")


async def _render(
    page: Page,
    user_id: UUID,
    query: PlaceQuery | None = None,
    *,
    form: UserFields | None = None,
    token_form: TokenForm | None = None,
    made: NewToken | None = None,
    link: ShownLink | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    whom: UserDetails = await page.services.users.get(user_id)
    path = page.path_to("show_user", user_id=user_id)
    return page.render(
        "settings/user.html",
        whom=whom,
        form=form or UserFields(name=whom.name, role=whom.role),
        roles=ROLE_WORDS,
        link=link,
        link_expires_at=await page.services.set_up_links.expiry_of(user_id),
        tokens=await shown_tokens(page, user_id, path, query),
        token_form=token_form or TokenForm.fresh(),
        made=made,
        errors=errors,
    )


def _shown(page: Page, link: SetUpLink) -> ShownLink:
    return ShownLink(f"{page.settings.public_base_url}{set_up_path(link.token)}", link.expires_at)


def _back(page: Page, user_id: UUID, words: str) -> Response:
    return page.redirect(page.path_to("show_user", user_id=user_id), Flash(words))


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidFieldError("role", "is missing; choose one") from None
