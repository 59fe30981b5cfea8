"""What the API answers when more comes in than it can take on."""

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from sqlalchemy import text as sql
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from api import twilio
from api.admission import Admission
from services.factory import Services
from services.messaging.inbound import Inbound
from services.platform.group_commit import GroupLimits
from storage.platform.database import Database
from storage.platform.locks import lock_numbers
from tests.api.conftest import Connect
from tests.api.test_twilio import INBOUND, REPORT, STATUS, TEXT, changed, post

PHONE = "+14155550123"


@pytest.fixture(autouse=True)
def _from_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log the first refusal, whatever was refused a moment ago."""
    monkeypatch.setattr("api.request_log._refusals._next", 0.0)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)


def refused_texts() -> float:
    labels = {"method": "POST", "route": INBOUND, "status": "503"}
    return REGISTRY.get_sample_value("segue_http_requests_total", labels) or 0.0


async def test_text_beyond_the_limit_is_refused_at_once_and_fetched_later(
    connect: Connect,
    services: Services,
    database: Database,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(twilio, "PATIENCE", timedelta(seconds=60))
    services.inbound = Inbound(database, GroupLimits(waiting=1))
    http, refusals = await connect(), refused_texts()
    async with database.transaction() as sender:
        await lock_numbers(sender, [PHONE])
        first = asyncio.create_task(post(http, INBOUND, TEXT))
        await until(lambda: services.inbound.is_full)

        with caplog.at_level(logging.WARNING):
            others = [
                await post(http, INBOUND, changed(TEXT, MessageSid=f"SM{number}"))
                for number in range(2, 5)
            ]

        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/api/nothing")).status_code == 404
        assert (await post(http, STATUS, REPORT)).status_code == 204
    assert (await first).status_code == 200
    for answer in others:
        assert answer.status_code == 503
        assert answer.json()["code"] == "busy"
        assert int(answer.headers["Retry-After"]) > 0
        assert answer.headers["content-type"] == "application/problem+json"
    assert refused_texts() == refusals + len(others)
    assert caplog.text.count("refused requests") == 1
    async with database.transaction() as tx:
        kept = await tx.execute(sql("SELECT provider_sid FROM inbound_events"))
        assert list(kept.scalars()) == ["SM1"]

    noting = asyncio.create_task(services.backfill.run())
    query = sql("SELECT missed_until IS NOT NULL FROM catch_up")
    async with asyncio.timeout(5):
        while True:
            async with database.transaction() as tx:
                if await tx.scalar(query):
                    break
    noting.cancel()


async def test_report_beyond_the_limit_is_refused(connect: Connect, services: Services) -> None:
    http = await connect()
    services.status_callbacks = SimpleNamespace(is_full=True)  # type: ignore[assignment]

    answer = await post(http, STATUS, REPORT)

    assert (answer.status_code, answer.json()["code"]) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0


class Held:
    """An application whose requests end when it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.under_way += 1
        if scope["path"] != "/healthz":
            await self.open.wait()
        await PlainTextResponse("done")(scope, receive, send)


def ask(front: Admission, path: str) -> "asyncio.Task[int]":
    """Send a request; return its status."""
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    app = FastAPI()
    free = SimpleNamespace(is_full=False)
    app.state.services = SimpleNamespace(
        inbound=free, status_callbacks=free, backfill=SimpleNamespace(missed=lambda: None)
    )
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "app": app}

    async def answered() -> int:
        await front(scope, receive, send)
        return statuses[0]

    return asyncio.create_task(answered())


async def test_each_kind_of_request_has_its_own_limit() -> None:
    held = Held()
    front = Admission(held, webhooks=1, requests=2)
    taken = [ask(front, path) for path in ("/contacts", "/api/contacts", INBOUND)]
    await until(lambda: held.under_way == len(taken))

    refused = [await ask(front, path) for path in ("/contacts", "/api/senders", INBOUND, STATUS)]
    assert refused == [503] * 4
    assert await ask(front, "/healthz") == 200

    held.open.set()
    assert await asyncio.gather(*taken) == [200] * 3
    for path in ("/contacts", INBOUND):
        assert await ask(front, path) == 200


async def test_request_that_fails_makes_room() -> None:
    async def broken(*_: object) -> None:
        raise ConnectionResetError

    front = Admission(broken, requests=1)
    for _ in range(2):
        with pytest.raises(ConnectionResetError):
            await ask(front, "/contacts")
