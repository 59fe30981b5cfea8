"""The host names the API answers to: pages of other names must not reach it."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api import health, problems, twilio
from settings import ApiSettings

_ANY_NAME = frozenset({*health.PATHS, *twilio.PATHS})
"""Health checks use a container's address; webhooks are signed for ``PUBLIC_BASE_URL``, under
whatever name a proxy passes them on."""


class KnownHosts:
    """Refuses requests for a host that is not ours.

    Otherwise a page whose name was pointed at this machine (DNS rebinding) would count as one of
    our own, as the browser takes both for the same site.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 421."""
        if scope["type"] == "http" and scope["path"] not in _ANY_NAME:
            request = Request(scope)
            settings: ApiSettings = request.app.state.settings
            if not settings.answers_to(_without_port(request.headers.get("host", ""))):
                response = await problems.respond(request, HTTPException(421))
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _without_port(host: str) -> str:
    """Read the host of a Host header; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
