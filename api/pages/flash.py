"""Messages that are shown once, on the page after: carried by a signed cookie."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from fastapi import Request, Response
from itsdangerous import BadData, URLSafeTimedSerializer

from settings import ApiSettings

COOKIE = "segue_flash"

_SECONDS = 60
_MOST = 500

Kind = Literal["success", "info", "warning", "danger"]


@dataclass(frozen=True)
class Flash:
    """A message.

    Attributes:
        text: A sentence.
        kind: How it is meant; all but ``success`` stay until they are closed.
    """

    text: str
    kind: Kind = "success"


def put(response: Response, flash: Flash, settings: ApiSettings) -> None:
    """Have a message shown on the next page."""
    short = Flash(flash.text[:_MOST], flash.kind)
    response.set_cookie(
        COOKIE,
        _serializer(settings).dumps(asdict(short)),
        max_age=_SECONDS,
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )


def take(request: Request, settings: ApiSettings) -> Flash | None:
    """Give the message that waits, if one does; nobody else can have written it."""
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    try:
        kept: dict[str, Any] = _serializer(settings).loads(cookie, max_age=_SECONDS)
    except BadData:
        return None
    return Flash(**kept)


def clear(response: Response) -> None:
    """Show no message twice."""
    response.delete_cookie(COOKIE)


def _serializer(settings: ApiSettings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.session_secret.get_secret_value(), salt="flash")
