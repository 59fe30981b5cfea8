"""Routes of the session at a browser: signing in, who is signed in, signing out."""

from typing import Literal, TypedDict

from fastapi import APIRouter, Depends, Request, Response

from api.dependencies import (
    SESSION_COOKIE,
    CurrentCaller,
    OwnAccount,
    ServicesDep,
    SettingsDep,
    address_of,
    authorize,
)
from api.problems import MEDIA_TYPE
from api.same_origin import CrossSiteError, is_same_origin
from api.schemas import Session, SigningIn
from services.audit import Actor, set_actor
from services.sessions import SignedIn
from settings import ApiSettings

router = APIRouter(prefix="/session", tags=["session"])
"""Stands by itself: everyone may sign in. All else in it asks who calls."""

_Authorized = Depends(authorize)


class _CookieAttributes(TypedDict):
    path: str
    secure: bool
    httponly: bool
    samesite: Literal["lax"]


def _attributes(settings: ApiSettings) -> _CookieAttributes:
    return {
        "path": "/",
        "secure": settings.public_base_url.startswith("https:"),
        "httponly": True,
        "samesite": "lax",
    }


def give_cookie(response: Response, signed_in: SignedIn, settings: ApiSettings) -> None:
    """Have a browser keep the session that has just begun."""
    response.set_cookie(
        SESSION_COOKIE,
        signed_in.cookie,
        max_age=int(settings.session_lifetime.total_seconds()),
        **_attributes(settings),
    )


def take_cookie(response: Response, settings: ApiSettings) -> None:
    """Have a browser forget the session that is over."""
    response.delete_cookie(SESSION_COOKIE, **_attributes(settings))


async def same_site(request: Request, settings: SettingsDep) -> None:
    """Refuse what another site's page sends; for routes that need no session."""
    if not is_same_origin(request, settings.public_base_url):
        raise CrossSiteError


@router.post("", dependencies=[Depends(same_site)])
async def sign_in(
    body: SigningIn,
    request: Request,
    response: Response,
    services: ServicesDep,
    settings: SettingsDep,
) -> Session:
    """Sign in: the answer sets the cookie of a session.

    401 `sign_in_refused` whether the address is unknown, the password wrong or the user disabled;
    429 `too_many_requests` after too many attempts, right or wrong: for one e-mail address from one
    network address or from all, or from one network address; 403 `cross_site` from another site's
    page.
    """
    address = address_of(request)
    set_actor(Actor(address=address))
    signed_in = await services.sessions.sign_in(
        body.email,
        body.password,
        address=address,
        user_agent=request.headers.get("user-agent"),
    )
    give_cookie(response, signed_in, settings)
    response.headers["Cache-Control"] = "no-store"
    return Session.of(signed_in.caller)


@router.get("", dependencies=[_Authorized])
async def get_session(caller: CurrentCaller, response: Response) -> Session:
    """Say who is signed in, by session or by token, and what they may do."""
    response.headers["Cache-Control"] = "no-store"
    return Session.of(caller)


_NO_SESSION = {
    "description": "`no_session`: a token was shown, which is revoked instead.",
    "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


@router.delete(
    "", status_code=204, dependencies=[_Authorized, OwnAccount], responses={409: _NO_SESSION}
)
async def sign_out(
    caller: CurrentCaller, response: Response, services: ServicesDep, settings: SettingsDep
) -> None:
    """Sign out. 409 `no_session` with a token, which is revoked instead."""
    await services.sessions.sign_out(caller)
    take_cookie(response, settings)
