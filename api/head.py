"""HEAD, answered as GET without the body (RFC 9110, section 9.3.2)."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Passes HEAD on as GET and drops the body, so that no route has to handle it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        # A copy: the server reads its own scope to leave out the body.
        asked = {**scope, "method": "GET"}
        answer = _Bodiless(send)
        try:
            await self._app(asked, answer.receive, answer.send)
        finally:
            for name in ("route", "path_params"):  # for the request log
                if name in asked:
                    scope[name] = asked[name]


class _Bodiless:
    """Sends an answer's headers alone, then acts as a client that has hung up."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._asked = False
        self._ended = asyncio.Event()

    async def receive(self) -> Message:
        """Give the request's empty body, then disconnect once the answer has begun."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the headers, and an empty body instead of its first piece."""
        if message["type"] == "http.response.start":
            await self._send(message)
        elif not self._ended.is_set():
            self._ended.set()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
