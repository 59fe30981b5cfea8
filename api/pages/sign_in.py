"""Signing in and out."""

from fastapi import APIRouter, Depends
from starlette.responses import Response

from api.dependencies import SESSION_COOKIE, CurrentCaller, OwnAccount, authorize, cookie_name
from api.pages.forms import FormFields
from api.pages.page import InForm, PublicPage, PublicPageDep, own_path
from api.session import begin_session, give_cookies, same_site, take_cookie
from domain.platform.errors import SegueError
from services.access.users import NotSignedInError
from services.platform.rate_limits import TooManyRequestsError

router = APIRouter()

_TEMPLATE = "sign_in.html"


class SignInFields(FormFields):
    """Fields of the sign-in form; ``next`` is the page to go to."""

    email: str = ""
    password: str = ""
    next: str = ""


@router.get("/sign-in")
async def show_sign_in(page: PublicPageDep, next: str = "") -> Response:  # noqa: A002 - its name in the address
    """Show the form; signed-in users are redirected at once."""
    if await _is_signed_in(page):
        return page.redirect(own_path(next))
    return page.render(_TEMPLATE, form=SignInFields(next=next))


@router.post("/sign-in", dependencies=[Depends(same_site)])
async def sign_in(page: PublicPageDep, form: InForm[SignInFields]) -> Response:
    """Begin a session and redirect to the page the person wanted.

    A page that was open when the last session ended asks by htmx, and stays.
    """
    try:
        signed_in = await begin_session(page.request, form.email, form.password)
    except SegueError as error:
        page.refuse(error)
        refused = page.render(_TEMPLATE, part="layout/_sign_in_again.html", form=form)
        if isinstance(error, TooManyRequestsError):
            refused.headers["Retry-After"] = str(error.retry_after_seconds)
        return refused
    if page.wants_part:
        response = Response(status_code=204, headers={"HX-Trigger": "signed-in"})
    else:
        response = page.redirect(own_path(form.next))
    give_cookies(response, signed_in, page.settings)
    return response


@router.post("/sign-out", dependencies=[Depends(authorize), OwnAccount])
async def sign_out(page: PublicPageDep, caller: CurrentCaller) -> Response:
    """End the session."""
    await page.services.sessions.sign_out(caller)
    response = page.redirect_to("show_sign_in", "You're signed out.")
    take_cookie(response, page.settings)
    return response


async def _is_signed_in(page: PublicPage) -> bool:
    cookie = page.request.cookies.get(cookie_name(SESSION_COOKIE, page.settings))
    if cookie is None:
        return False
    try:
        await page.services.sessions.authenticate(cookie)
    except NotSignedInError:
        return False
    return True
