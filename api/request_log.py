"""The log of requests: an id, one line, and the numbers for Prometheus."""

import logging
import re
import time
from collections.abc import Mapping
from uuid import uuid4

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.pages.assets import PREFIX
from observability import metrics
from observability.logs import request_id
from services.platform.audit import Actor

REQUEST_ID_HEADER = "X-Request-ID"
_ID_HEADER = REQUEST_ID_HEADER.lower().encode()

ACTOR = "actor"
"""The attribute of a request's state with who it is from, once that is known."""

_logger = logging.getLogger(__name__)

CLIENT_GONE = 499
"""The status, as nginx has it, of a request whose client closed the connection before its body
ended: counted apart from refused and failed ones."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_TYPED = frozenset({"external_id"})
"""Parameters of paths that hold what another program calls a person, maybe an email address."""

_NO_ROUTE = "(none)"
_WEBHOOKS = {"/webhooks/twilio/inbound": "inbound", "/webhooks/twilio/status": "status"}
_REFUSED = 503
_OFTEN = frozenset({"/healthz", "/readyz", PREFIX})
"""Requested every few seconds, or with every page: a line each would bury the others."""

_SECRET = re.compile(r"/media/\{")
"""Routes whose path is all that one needs to see a picture."""


class RequestLog:
    """Gives each request an id, answers with it, and logs the result.

    The line has who called (user id, token id, network address) and the path, but never the query
    string, which holds what people search for; nor the path of an unknown route, which may be
    anything.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and time it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        name = given if _GIVEN_ID.fullmatch(given) else uuid4().hex
        scope.setdefault("state", {})["request_id"] = name
        status = 500  # what the server answers to an unexpected exception
        began = time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (_ID_HEADER, name.encode())]
            await send(message)

        token = request_id.set(name)
        try:
            await self._app(scope, receive, named)
        finally:
            _log(scope, status, time.perf_counter() - began)
            request_id.reset(token)


def log_refused(scope: Scope) -> None:
    """Count a request that was answered 503 at once, and log one a second."""
    route = scope["path"] if scope["path"] in _WEBHOOKS else _NO_ROUTE
    method = scope["method"] if route != _NO_ROUTE else _NO_ROUTE
    metrics.HTTP_REQUESTS.labels(method, route, _REFUSED).inc()
    if route in _WEBHOOKS:
        metrics.WEBHOOK_SECONDS.labels(_WEBHOOKS[route], _result(_REFUSED)).observe(0)
    if _refusals.is_due():
        _logger.warning("refused requests, for too many are under way", extra={"route": route})


class _Refusals:
    """Says when the next refusal is to be logged: under load there are thousands a second."""

    def __init__(self) -> None:
        self._next = 0.0

    def is_due(self) -> bool:
        """Whether a second has passed since this was true."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + 1
        return True


_refusals = _Refusals()


def _log(scope: Scope, status: int, seconds: float) -> None:
    route = route_of(scope)
    # Callers may send any method: those of unknown routes are one.
    method = scope["method"] if route != _NO_ROUTE else _NO_ROUTE
    metrics.HTTP_REQUESTS.labels(method, route, status).inc()
    metrics.HTTP_SECONDS.labels(method, route).observe(seconds)
    if route in _WEBHOOKS:
        metrics.WEBHOOK_SECONDS.labels(_WEBHOOKS[route], _result(status)).observe(seconds)
    # As it was sent, percent signs included, so that no path can forge a line.
    path = scope.get("raw_path", b"").decode("ascii", "replace")
    is_secret = _SECRET.match(route) or _TYPED & scope.get("path_params", {}).keys()
    if route == _NO_ROUTE or is_secret:
        path = route
    _logger.log(
        logging.DEBUG if route in _OFTEN else logging.INFO,
        "%s %s %d",
        method,
        path,
        status,
        extra={
            "method": method,
            "path": path,
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 1),
            **_caller(scope),
        },
    )


def _result(status: int) -> str:
    """Name the result of a webhook."""
    if status == CLIENT_GONE:
        return "gone"
    return "stored" if status < 300 else "refused" if status < 500 else "failed"


def _caller(scope: Scope) -> Mapping[str, str]:
    """Identify the caller, as far as that is known."""
    actor: Actor | None = scope["state"].get(ACTOR)
    client = scope.get("client")
    named = {
        "user_id": actor and actor.user_id,
        "token_id": actor and actor.token_id,
        "address": client and client[0],
    }
    return {name: str(value) for name, value in named.items() if value}


def route_of(scope: Scope) -> str:
    """Build a route's whole template; it knows its own without the prefix of its router."""
    if scope["path"].startswith(f"{PREFIX}/"):
        return PREFIX
    own: str | None = getattr(scope.get("route"), "path_format", None)
    if own is None:
        return _NO_ROUTE
    values = "".join(str(one) for one in scope.get("path_params", {}).values())
    prefix = scope["path"].split("/")[: -own.count("/") - values.count("/")]
    return "/".join(prefix) + own
