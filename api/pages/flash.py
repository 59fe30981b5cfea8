"""Messages shown once on the next page, carried by a signed cookie."""

from dataclasses import asdict, dataclass, replace
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
    """A message of one sentence; every kind but ``success`` stays until it is closed.

    Attributes:
        undo: The address that a POST to takes back what was done; empty if nothing can.
        link: The address of a page that says more, and ``link_words`` what its link reads as.
    """

    text: str
    kind: Kind = "success"
    undo: str = ""
    link: str = ""
    link_words: str = ""

    @classmethod
    def of(cls, message: "Flash | str") -> "Flash":
        """Return a message given as one, or as the text of a success."""
        return cls(message) if isinstance(message, str) else message


def put(response: Response, flash: Flash, settings: ApiSettings) -> None:
    """Show a message on the next page."""
    response.set_cookie(
        COOKIE,
        _serializer(settings).dumps(asdict(replace(flash, text=flash.text[:_MOST]))),
        max_age=_SECONDS,
        secure=settings.is_https,
        httponly=True,
        samesite="lax",
    )


def take(request: Request, settings: ApiSettings) -> Flash | None:
    """Return the message to show, if any; the signature proves that we wrote it."""
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    try:
        fields: dict[str, Any] = _serializer(settings).loads(cookie, max_age=_SECONDS)
    except BadData:
        return None
    return Flash(**fields)


def clear(response: Response) -> None:
    """Delete the cookie of a message that has been shown."""
    response.delete_cookie(COOKIE)


def _serializer(settings: ApiSettings) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(settings.session_secret.get_secret_value(), salt="flash")
