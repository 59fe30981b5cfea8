"""Limits of request bodies: their size, by who sends them, their encoding, their speed."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass

from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.dependencies import authenticate, shows_credentials
from api.request_log import CLIENT_GONE

STRANGERS_BYTES = 64_000
"""Most that is read of a body before its sender is known: more than Twilio's forms or a sign-in
need."""

PATIENCE_SECONDS = 20.0
"""How long to wait for a body, besides what its size takes at the slowest."""

SLOWEST_BYTES_PER_SECOND = 10_000
"""Speed of the slowest line that is still waited for."""

_CLOSE = {"Connection": "close"}  # what is left of the body is not worth reading


@dataclass(frozen=True)
class Limits:
    """Most bytes of a body from a known sender, and for single paths; see ``PATIENCE_SECONDS``."""

    most: int
    of_path: Mapping[str, int]
    patience_seconds: float = PATIENCE_SECONDS


class BodyLimit:
    """Refuses bodies that are too large, too slow or in another encoding.

    FastAPI reads a whole body before it authenticates, and neither it nor the server limits how
    long that takes. So whoever sends more than a stranger may is authenticated here. FastAPI's
    ``max_body_size`` cannot do that: it knows a path but no caller, an inner limit raises an outer
    one, and its refusals are no problem documents.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, limiting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            _require_utf8(request)
            most = await self._most(request)
        except problems.EXPECTED as error:
            response = await problems.respond(request, error)
            await response(scope, receive, send)
            return
        bounded = _Bounded(receive, send, most, self._limits.patience_seconds)
        await self._app(scope, bounded.receive, bounded.send)

    async def _most(self, request: Request) -> int:
        """Decide how many bytes to take.

        Raises:
            HTTPException: 413: it declares more.
            SegueError: Its credentials are not valid.
        """
        most = self._limits.of_path.get(request.scope["path"], self._limits.most)
        declared = _declared(request)
        if declared is not None and declared <= STRANGERS_BYTES:
            return most
        if not await shows_credentials(request):
            most = min(most, STRANGERS_BYTES)
        if declared is not None and declared > most:
            raise _too_large()
        if most > STRANGERS_BYTES:
            await authenticate(request)
        return most


class _Bounded:
    """Stops reading a body that gets too large or too slow, or whose client hangs up."""

    def __init__(self, receive: Receive, send: Send, most: int, patience_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._most = most
        self._patience = patience_seconds
        self._received = 0
        self._waited = 0.0
        self._done = False  # complete, or no longer wanted

    async def receive(self) -> Message:
        """Read the next piece; only the time that the client takes counts.

        Raises:
            HTTPException: 408, 413, or 499, which nobody reads.
        """
        if self._done:
            return await self._receive()
        begun = time.monotonic()
        allowed = self._patience + self._received / SLOWEST_BYTES_PER_SECOND
        try:
            async with asyncio.timeout(allowed - self._waited):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408, headers=_CLOSE) from None
        if message["type"] == "http.disconnect":
            raise HTTPException(CLIENT_GONE, "the client closed the connection")
        self._waited += time.monotonic() - begun
        self._received += len(message.get("body", b""))
        self._done = not message.get("more_body", False)
        if self._received > self._most:
            raise _too_large()
        return message

    async def send(self, message: Message) -> None:
        """Send the answer; if the body is not complete by then, the rest is not limited."""
        self._done = True
        await self._send(message)


def _declared(request: Request) -> int | None:
    """Read the declared size of the body; None if there is none."""
    if "transfer-encoding" in request.headers:
        return None
    written = request.headers.get("content-length", "0")
    return int(written) if written.isdecimal() and written.isascii() else None


def _require_utf8(request: Request) -> None:
    """Refuse a form in another encoding, some of which Python decodes to half characters.

    Browsers declare none.

    Raises:
        HTTPException: 400.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    charset = options.get(b"charset", b"utf-8").lower()
    if kind == b"multipart/form-data" and charset not in {b"utf-8", b"utf8"}:
        raise HTTPException(400, headers=_CLOSE)


def _too_large() -> HTTPException:
    return HTTPException(413, headers=_CLOSE)
