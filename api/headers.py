"""Security headers: what browsers may do with an answer."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SOURCES = {
    "default-src": "'none'",
    "script-src": "'self'",  # no inline script, no handler in an attribute, no eval
    "style-src": "'self'",  # no style in an attribute either
    "img-src": "'self' data:",  # data: is what the style sheet draws arrows and ticks with
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}

SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "; ".join(map(" ".join, _SOURCES.items())),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

_ONLY_HTTPS = "max-age=31536000"
"""HTTPS alone for a year (RFC 6797), for this host, not for others of the domain."""


# What a browser caches could be seen after signing out.
_ALWAYS = {**SECURITY_HEADERS, "Cache-Control": "no-store"}


class SecurityHeaders:
    """Adds them to every answer that does not set them, unexpected errors included.

    Args:
        app: What answers.
        is_https: Whether browsers call by HTTPS.
    """

    def __init__(self, app: ASGIApp, *, is_https: bool) -> None:
        self._app = app
        only_https = {"Strict-Transport-Security": _ONLY_HTTPS} if is_https else {}
        self._headers = Headers({**_ALWAYS, **only_https}).raw

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, adding to its answer."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                names = {name for name, _ in given}
                more = [header for header in self._headers if header[0] not in names]
                message = {**message, "headers": [*given, *more]}
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
