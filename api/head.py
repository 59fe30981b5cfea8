"""HEAD: answered wherever GET is, as GET is, without the body (RFC 9110, section 9.3.2)."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class HeadAsGet:
    """Passes HEAD on as GET and keeps the body back; no route needs to know of it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return
        # A copy: the server goes by its own scope when it leaves out the body.
        asked = {**scope, "method": "GET"}
        answer = _Bodiless(send)
        try:
            await self._app(asked, answer.receive, answer.send)
        finally:
            if "route" in asked:
                scope["route"] = asked["route"]  # what the request log names it by


class _Bodiless:
    """An answer whose headers are sent, and a client that then needs no more."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._asked = False
        self._ended = asyncio.Event()

    async def receive(self) -> Message:
        """Give the request's empty body, then wait until what streams may stop."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._ended.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Send the headers, and an empty body in place of the first piece of it."""
        if message["type"] == "http.response.start":
            await self._send(message)
        elif not self._ended.is_set():
            self._ended.set()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
