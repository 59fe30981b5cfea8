"""The event loop that the API runs on: uvloop, but it accepts many connections at a time.

libuv accepts one connection each time it has looked at all sockets (since 1.45, its pull request
3696). In a burst a look takes tens of milliseconds, so connections wait in the kernel's queue until
that is full; then the kernel drops what comes, and neither side learns of it for seconds.
"""

import asyncio
import socket
from asyncio import Server
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import uvloop

ACCEPTED_AT_ONCE = 32
"""Connections that are accepted at each look; a single one then costs some 30 us more."""


class _Servers:
    """Several servers on the same sockets, as one."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers

    @property
    def sockets(self) -> Sequence[Any]:
        """The sockets that they listen on, each once."""
        return self._servers[0].sockets

    def close(self) -> None:
        """Accept nothing more."""
        for one in self._servers:
            one.close()

    async def wait_closed(self) -> None:
        """Wait until their connections are closed."""
        for one in self._servers:
            await one.wait_closed()


class _Loop(uvloop.Loop):
    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        *args: Any,  # noqa: ANN401 - whatever uvloop takes
        **options: Any,  # noqa: ANN401
    ) -> _Servers:
        """Listen as uvloop does, with several handles on each socket: each accepts one."""
        listen: Callable[..., Awaitable[Server]] = super().create_server  # type: ignore[assignment]
        first = await listen(protocol_factory, *args, **options)
        again = {name: options[name] for name in ("ssl", "backlog") if name in options}
        others = [
            await listen(
                protocol_factory, sock=socket.fromfd(one.fileno(), one.family, one.type), **again
            )
            for one in first.sockets
            for _ in range(ACCEPTED_AT_ONCE - 1)
        ]
        return _Servers([first, *others])


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Make the loop; the factory that uvicorn calls (``--loop``)."""
    return _Loop()
