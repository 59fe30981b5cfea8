"""Settings > Users: who may use Segue and as what, their passwords and their tokens."""

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
from api.pages.settings.account import DAYS, TOKENS_MOST, TokenFields
from api.paging import Cursors
from domain.errors import InvalidFieldError, SegueError
from domain.statuses import Role, TokenScope
from services.passwords import random_password
from services.users import NewToken, UserDetails

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
    """Somebody to be added; ``password`` counts only if they are given one by hand."""

    email: str = ""
    name: str = ""
    role: str = Role.MEMBER
    sign_in: str = "made"
    password: str = ""


class UserFields(FormFields):
    """What is changed of a user."""

    name: str = ""
    role: str = ""


class GivenPasswordFields(FormFields):
    """A password for somebody; empty to have one made."""

    password: str = ""


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
    """Add a user; a password that was made is shown in this answer alone."""
    made = random_password() if form.sign_in == "made" else None
    try:
        user = await page.services.users.create(
            email=form.email,
            name=form.name,
            role=_role(form.role),
            password=form.password if form.sign_in == "typed" else made,
        )
    except SegueError as error:
        errors = FormErrors.of(error)
        return page.part("settings/_user_form.html", form=form, roles=ROLE_WORDS, errors=errors)
    return page.part("settings/_user_made.html", made=user, password=made, events=[USERS_CHANGED])


@router.get("/settings/users/{user_id}")
async def show_user(page: PageDep, user_id: UUID) -> Response:
    """Show a user, what may be changed of them, and their tokens."""
    return await _render(page, user_id)


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


@router.post("/settings/users/{user_id}/password")
async def set_password(
    page: PageDep, user_id: UUID, form: Annotated[GivenPasswordFields, Form()]
) -> Response:
    """Give a user another password; one that is made is shown in this answer alone."""
    made = None if form.password else random_password()
    try:
        await page.services.users.change(user_id, {"password": made or form.password})
    except SegueError as error:
        return await _render(page, user_id, errors=FormErrors.of(error))
    if made is None:
        return _back(page, user_id, "The password is changed.")
    return await _render(page, user_id, password=made)


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
    page: PageDep, user_id: UUID, form: Annotated[TokenFields, Form()]
) -> Response:
    """Make a token for a user; this answer is the only one that shows it."""
    try:
        made = await page.services.users.create_token(
            user_id, name=form.name, expires_at=form.expires_at(page.now), scopes=form.scopes
        )
    except SegueError as error:
        errors = FormErrors.of(error, name="token_name")
        return await _render(page, user_id, token_form=form, errors=errors)
    return await _render(page, user_id, made=made)


@router.post("/settings/users/{user_id}/tokens/{token_id}/revoke")
async def revoke_token(page: PageDep, user_id: UUID, token_id: UUID) -> Response:
    """Make one of a user's tokens useless."""
    await page.services.users.revoke_token(user_id, token_id)
    return _back(page, user_id, "The token is revoked.")


async def _render(
    page: Page,
    user_id: UUID,
    *,
    form: UserFields | None = None,
    token_form: TokenFields | None = None,
    made: NewToken | None = None,
    password: str | None = None,
    errors: FormErrors = NO_ERRORS,
) -> Response:
    whom: UserDetails = await page.services.users.get(user_id)
    tokens = await page.services.users.tokens_of(user_id, limit=TOKENS_MOST)
    return page.render(
        "settings/user.html",
        whom=whom,
        form=form or UserFields(name=whom.name, role=whom.role),
        roles=ROLE_WORDS,
        tokens=[token for token in tokens.items if token.revoked_at is None],
        token_form=token_form or TokenFields(scopes=list(TokenScope)),
        scopes=list(TokenScope),
        days=DAYS,
        made=made,
        password=password,
        errors=errors,
    )


def _back(page: Page, user_id: UUID, words: str) -> Response:
    return page.redirect(page.path_to("show_user", user_id=user_id), Flash(words))


def _role(text: str) -> Role:
    try:
        return Role(text)
    except ValueError:
        raise InvalidFieldError("role", "is missing; choose one") from None
