"""How much of a body is taken, from whom, in what encoding, and how long it may take to come."""

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
"""Most that is read before anyone has said who calls: more than any form of Twilio's or a sign-in
takes."""

PATIENCE_SECONDS = 20.0
"""How long a body may be waited for, besides what its size takes at the slowest."""

SLOWEST_BYTES_PER_SECOND = 10_000
"""What the slowest line may take for what it has sent; less than any phone of this century."""

_CLOSE = {"Connection": "close"}  # what is left of the body is not worth reading


@dataclass(frozen=True)
class Limits:
    """What is taken.

    Attributes:
        most: Bytes of a body, of someone known.
        of_path: The same for single paths.
        patience_seconds: See ``PATIENCE_SECONDS``.
    """

    most: int
    of_path: Mapping[str, int]
    patience_seconds: float = PATIENCE_SECONDS


class BodyLimit:
    """Refuses bodies that are too large, too slow or of another encoding, however they come.

    FastAPI reads a body whole before it asks who calls, and neither it nor the server minds how
    long that takes. Whoever sends more than a stranger may is therefore asked here. Its own
    ``max_body_size`` cannot do this part: it knows a path but no caller, an inner limit lifts an
    outer one, and what it refuses gets no problem document.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its body and the time it takes."""
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
        """Tell how many bytes may come.

        Raises:
            HTTPException: 413: it says that there are more.
            SegueError: Its credentials are not good.
        """
        most = self._limits.of_path.get(request.url.path, self._limits.most)
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
    """A body that breaks off when it gets too large or too slow, or its client hangs up."""

    def __init__(self, receive: Receive, send: Send, most: int, patience_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._most = most
        self._patience = patience_seconds
        self._received = 0
        self._waited = 0.0
        self._done = False  # whole, or no longer wanted

    async def receive(self) -> Message:
        """Give the next piece; only the time that the client takes counts, not our own.

        Raises:
            HTTPException: 408, 413, or 499, which nobody is left to read.
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
        """Answer; whoever answers before the body is whole does without the rest of it."""
        self._done = True
        await self._send(message)


def _declared(request: Request) -> int | None:
    """Read how large the body says it is; None if it does not say."""
    if "transfer-encoding" in request.headers:
        return None
    written = request.headers.get("content-length", "0")
    return int(written) if written.isdecimal() and written.isascii() else None


def _require_utf8(request: Request) -> None:
    """Refuse a form that names another encoding: some of Python's make half characters.

    Browsers name none.

    Raises:
        HTTPException: 400.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    charset = options.get(b"charset", b"utf-8").lower()
    if kind == b"multipart/form-data" and charset not in {b"utf-8", b"utf8"}:
        raise HTTPException(400, headers=_CLOSE)


def _too_large() -> HTTPException:
    return HTTPException(413, headers=_CLOSE)
