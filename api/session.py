"""Routes of the browser session: signing in, who is signed in, signing out."""

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import (
    DEVICE_COOKIE,
    SESSION_COOKIE,
    CurrentCaller,
    OwnAccount,
    ServicesDep,
    SettingsDep,
    address_of,
    authorize,
    cookie_name,
)
from api.same_origin import CrossSiteError, is_same_origin
from api.schemas.access import Session, SigningIn
from services.access.known_devices import DEVICE_KEPT
from services.access.sessions import SignedIn
from services.factory import Services
from services.platform.audit import Actor, set_actor
from settings import ApiSettings

router = APIRouter(prefix="/session", tags=["session"])
"""Included without ``authorize``: everyone may sign in. Its other routes add it."""

_Authorized = Depends(authorize)


async def begin_session(request: Request, email: str, password: str) -> SignedIn:
    """Sign somebody in from a browser.

    Raises:
        SegueError: As ``Sessions.sign_in``.
    """
    settings: ApiSettings = request.app.state.settings
    services: Services = request.app.state.services
    address = address_of(request)
    set_actor(Actor(address=address))
    return await services.sessions.sign_in(
        email,
        password,
        address=address,
        user_agent=request.headers.get("user-agent"),
        device_cookie=request.cookies.get(cookie_name(DEVICE_COOKIE, settings)),
    )


def give_cookies(response: Response, signed_in: SignedIn, settings: ApiSettings) -> None:
    """Set the cookies of a session that has just begun, and of the device."""
    for name, value, lifetime in (
        (SESSION_COOKIE, signed_in.cookie, settings.session_lifetime),
        (DEVICE_COOKIE, signed_in.device_cookie, DEVICE_KEPT),
    ):
        response.set_cookie(
            cookie_name(name, settings),
            value,
            max_age=int(lifetime.total_seconds()),
            secure=settings.is_https,
            httponly=True,
            samesite="lax",
        )


def take_cookie(response: Response, settings: ApiSettings) -> None:
    """Delete the cookie of a session that has ended."""
    response.delete_cookie(
        cookie_name(SESSION_COOKIE, settings),
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )


async def same_site(request: Request, settings: SettingsDep) -> None:
    """Refuse requests of other sites' pages; for routes that need no session."""
    if not is_same_origin(request, settings.public_base_url):
        raise CrossSiteError


@router.post("", dependencies=[Depends(same_site)])
async def sign_in(
    body: SigningIn, request: Request, response: Response, settings: SettingsDep
) -> Session:
    """Sign in; the answer sets the session's cookie.

    401 `sign_in_refused` whether the address is unknown, the password wrong or the user disabled;
    429 `too_many_requests` too soon after wrong tries for the email address or from the network
    address: `Retry-After` says how long to wait, from a second up to half a minute. A browser that
    the user has signed in from before, known by its cookie, is counted by itself. 403 `cross_site`
    from another site's page.
    """
    signed_in = await begin_session(request, body.email, body.password)
    give_cookies(response, signed_in, settings)
    response.headers["Cache-Control"] = "no-store"
    return Session.of(signed_in.caller)


@router.get("", dependencies=[_Authorized])
async def get_session(caller: CurrentCaller, response: Response) -> Session:
    """Return who is signed in, by session or by token, and what they may do."""
    response.headers["Cache-Control"] = "no-store"
    return Session.of(caller)


@router.delete("", status_code=204, dependencies=[_Authorized, OwnAccount])
async def sign_out(
    caller: CurrentCaller, response: Response, services: ServicesDep, settings: SettingsDep
) -> None:
    """Sign out. 409 `no_session` with a token, which is revoked instead."""
    await services.sessions.sign_out(caller)
    take_cookie(response, settings)
