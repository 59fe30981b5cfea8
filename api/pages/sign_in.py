"""Pages of signing in and out."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form
from starlette.responses import Response

from api.dependencies import SESSION_COOKIE, CurrentCaller, OwnAccount, address_of, authorize
from api.pages.flash import Flash
from api.pages.forms import FormErrors, FormFields
from api.pages.page import Page, PublicPageDep, own_path
from api.session import give_cookie, same_site, take_cookie
from domain.errors import SegueError
from services.audit import Actor, set_actor
from services.users import NotSignedInError

router = APIRouter()

_TEMPLATE = "sign_in.html"


class SignInFields(FormFields):
    """What somebody types to sign in."""

    email: str = ""
    password: str = ""
    next: str = ""


@router.get("/sign-in")
async def show_sign_in(page: PublicPageDep, next: str = "") -> Response:  # noqa: A002 - its name in the address
    """Ask who it is; who is signed in goes on at once."""
    if await _is_signed_in(page):
        return page.redirect(own_path(next))
    return page.render(_TEMPLATE, form=SignInFields(next=next))


@router.post("/sign-in", dependencies=[Depends(same_site)])
async def sign_in(page: PublicPageDep, form: Annotated[SignInFields, Form()]) -> Response:
    """Begin a session and go on to where the person wanted to be."""
    address = address_of(page.request)
    set_actor(Actor(address=address))
    try:
        signed_in = await page.services.sessions.sign_in(
            form.email,
            form.password,
            address=address,
            user_agent=page.request.headers.get("user-agent"),
        )
    except SegueError as error:
        return page.render(_TEMPLATE, form=form, errors=FormErrors.of(error))
    response = page.redirect(own_path(form.next))
    give_cookie(response, signed_in, page.settings)
    return response


@router.post("/sign-out", dependencies=[Depends(authorize), OwnAccount])
async def sign_out(page: PublicPageDep, caller: CurrentCaller) -> Response:
    """End the session."""
    await page.services.sessions.sign_out(caller)
    response = page.redirect(page.path_to("show_sign_in"), Flash("You are signed out."))
    take_cookie(response, page.settings)
    return response


async def _is_signed_in(page: Page) -> bool:
    cookie = page.request.cookies.get(SESSION_COOKIE)
    if cookie is None:
        return False
    try:
        await page.services.sessions.authenticate(cookie)
    except NotSignedInError:
        return False
    return True
