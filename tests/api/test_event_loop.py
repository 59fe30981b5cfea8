"""The API's event loop: it accepts at once what comes in a burst."""

import asyncio
import socket
from itertools import pairwise

import uvloop

from api import event_loop

CONNECTIONS = 20


def test_connections_that_wait_are_accepted_at_one_look() -> None:
    """uvloop's own accepts one at each."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(most_at_one_look()) == 1
    with asyncio.Runner(loop_factory=event_loop.new_event_loop) as runner:
        assert runner.run(most_at_one_look()) == CONNECTIONS


async def most_at_one_look() -> int:
    """Let many connect while the loop stands still; tell how many it accepts at one look."""
    loop, accepted = asyncio.get_running_loop(), 0

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal accepted
            accepted += 1
            transport.close()

    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=100)
    address = server.sockets[0].getsockname()
    clients = [socket.create_connection(address) for _ in range(CONNECTIONS)]
    seen = [accepted]
    for _ in range(CONNECTIONS):
        await asyncio.sleep(0)
        seen.append(accepted)
    server.close()
    await server.wait_closed()
    for one in clients:
        one.close()
    with socket.socket() as late:
        assert late.connect_ex(address) != 0, "nothing listens there any more"
    return max(after - before for before, after in pairwise(seen))
