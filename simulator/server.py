"""A uvicorn server that can drop a connection without an answer."""

import asyncio

import uvicorn
from fastapi import FastAPI, Request
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT_EXTENSION = "simulator.abort"


class DroppableProtocol(HttpToolsProtocol):
    """HTTP that hands the application a way to abort the connection, in the request's scope."""

    def on_message_begin(self) -> None:
        """Start a request and add the extension."""
        super().on_message_begin()
        self.scope["extensions"] = {ABORT_EXTENSION: {"abort": self.transport.abort}}


def server_config(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """Return the server's configuration; port 0 takes a free port."""
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
    """Abort the caller's connection.

    Raises:
        ConnectionAbortedError: The server cannot abort; a test client sees the error instead.
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
    """Wait until the caller disconnects."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
