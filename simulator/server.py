"""The server the simulator runs on: uvicorn, able to drop a connection without an answer."""

import asyncio

import uvicorn
from fastapi import FastAPI, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT_EXTENSION = "simulator.abort"


class DroppableProtocol(HttpToolsProtocol):
    """HTTP with a way to cut the line, handed to the application in the request's scope."""

    def on_message_begin(self) -> None:
        """Start a request and add the extension."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT_EXTENSION: {"abort": self.transport.abort}}


def server_config(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """Return how the simulator is served; port 0 takes any free one."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=DroppableProtocol,
        log_level="info",
        access_log=False,
        backlog=4096,
        timeout_graceful_shutdown=2,
    )


async def drop_connection(request: Request) -> None:
    """Cut the caller's connection.

    Raises:
        ConnectionAbortedError: The application runs on another server, which has to do it.
    """
    extension = request.scope.get("extensions", {}).get(ABORT_EXTENSION)
    if extension is None:
        raise ConnectionAbortedError
    extension["abort"]()
    await _disconnected(request)


async def hang(request: Request, seconds: float) -> None:
    """Leave a request unanswered until the caller gives up or the server stops."""
    try:
        async with asyncio.timeout(seconds):
            await _disconnected(request)
    except (TimeoutError, asyncio.CancelledError):
        await drop_connection(request)


async def _disconnected(request: Request) -> None:
    """Wait until the caller is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
