# mypy: disable-error-code="import-untyped"
"""A simulator on a free port, and an application that records its webhooks."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from simulator.app import create_app
from simulator.server import server_config
from simulator.state import Simulator, SimulatorConfig

OURS = "+16285550199"
SERVICE = "MG" + "1" * 32
ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "test-token"


class ServerThread:
    """Runs an application on a free loopback port, in its own thread."""

    def __init__(self, config: Callable[[], uvicorn.Config]) -> None:
        # Without the protocol asyncio leaves Nagle's algorithm on: 40 ms per request.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = uvicorn.Server(config())
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        wait_until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._socket.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))


def wait_until(holds: Callable[[], Any], seconds: float = 5) -> None:
    """Wait for something another thread does."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@dataclass
class Webhook:
    """One request to the application."""

    path: str
    url: str
    fields: dict[str, str]
    headers: dict[str, str]


@dataclass
class Listener:
    """An application that answers every webhook and remembers it."""

    url: str = ""
    status: int = 200
    delay: float = 0
    received: list[Webhook] = field(default_factory=list)

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/{path:path}")
        async def take(path: str, request: Request) -> Response:
            form = await request.form()
            fields = {name: str(value) for name, value in form.multi_items()}
            target = request.scope["raw_path"].decode()
            if query := request.scope["query_string"].decode():
                target += f"?{query}"
            self.received.append(Webhook(path, self.url + target, fields, dict(request.headers)))
            await asyncio.sleep(self.delay)
            return Response(status_code=self.status)

        return app

    def statuses(self, sid: str | None = None) -> list[str]:
        return [
            webhook.fields["MessageStatus"]
            for webhook in list(self.received)
            if webhook.path == "status" and sid in {None, webhook.fields["MessageSid"]}
        ]

    def inbound(self) -> list[Webhook]:
        return [webhook for webhook in list(self.received) if webhook.path == "inbound"]


@dataclass
class RunningSimulator:
    """A running simulator, its control API and Twilio's client for it."""

    url: str
    state: Simulator
    http: httpx.Client
    clients: list[Client] = field(default_factory=list)

    def client(self, token: str = AUTH_TOKEN, seconds: float = 8) -> Client:
        client = Client(ACCOUNT_SID, token, http_client=TwilioHttpClient(timeout=seconds))
        client.api.base_url = self.url
        client.lookups.base_url = self.url
        self.clients.append(client)
        return client

    def close_clients(self) -> None:
        for client in self.clients:
            client.http_client.session.close()
        self.clients.clear()

    def behave(self, **faults: object) -> None:
        self.http.post("/_simulator/behaviour", json=faults).raise_for_status()

    def text(self, **text: object) -> dict[str, Any]:
        answer = self.http.post("/_simulator/inbound", json=text)
        answer.raise_for_status()
        return dict(answer.json())

    def messages(self, **query: str | int) -> dict[str, Any]:
        return dict(self.http.get("/_simulator/messages", params=query).json())

    def created(self, to: str) -> int:
        """Return how many messages a number got, refused creates not counted."""
        return int(self.messages(to=to)["created"].get(to, 0))

    def rest(self) -> None:
        """Wait until nothing is under way."""
        wait_until(lambda: self.state.callbacks.open_tasks == 0)


@pytest.fixture(scope="session")
def listener_server() -> Iterator[Listener]:
    listener = Listener()
    with ServerThread(
        lambda: uvicorn.Config(listener.app(), log_level="warning", access_log=False)
    ) as server:
        listener.url = server.url
        yield listener


@pytest.fixture
def listener(listener_server: Listener) -> Listener:
    listener_server.received.clear()
    listener_server.status = 200
    listener_server.delay = 0
    return listener_server


@pytest.fixture(scope="session")
def simulator_server(listener_server: Listener) -> Iterator[RunningSimulator]:
    app = create_app(
        SimulatorConfig(
            account_sid=ACCOUNT_SID,
            auth_token=AUTH_TOKEN,
            inbound_url=f"{listener_server.url}/inbound",
            delivery_delay=timedelta(milliseconds=30),
            seed=1,
            max_messages=1000,
        )
    )
    with (
        ServerThread(lambda: server_config(app, "127.0.0.1", 0)) as server,
        httpx.Client(base_url=server.url, auth=(ACCOUNT_SID, AUTH_TOKEN), timeout=8) as http,
    ):
        yield RunningSimulator(server.url, app.state.simulator, http)


@pytest.fixture
def simulator(simulator_server: RunningSimulator, listener: Listener) -> Iterator[RunningSimulator]:
    simulator_server.http.delete("/_simulator/messages").raise_for_status()
    listener.received.clear()
    yield simulator_server
    simulator_server.close_clients()


@pytest.fixture
def client(simulator: RunningSimulator) -> Client:
    return simulator.client()
