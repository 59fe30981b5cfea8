"""A kit to test event endpoints: a real server that accepts or refuses events."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from aiohttp import web

from domain.event_webhooks.events import EventRules, EventsRound
from services.event_webhooks.deliveries import Deliveries
from services.event_webhooks.endpoints import EndpointFields, EventEndpoints, MadeEndpoint
from standalone.ports import free_port
from storage.platform.database import Database

QUICK = EventRules(
    waits=(timedelta(milliseconds=20), timedelta(milliseconds=60)),
    pause=timedelta(milliseconds=50),
    allow_local=True,
)
"""The rules of deliveries, with waits of milliseconds."""


@dataclass(frozen=True)
class Seen:
    """A request that reached the server."""

    headers: dict[str, str]
    raw: bytes
    status: int

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    def is_signed_with(self, secret: str) -> bool:
        """Verify that one signature is the secret's, as the standard says, without our own code."""
        key = base64.b64decode(secret.split("_", 1)[1])
        content = b".".join(
            [self.event_id.encode(), self.headers["webhook-timestamp"].encode(), self.raw]
        )
        expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        given = self.headers["webhook-signature"].split(" ")
        return any(hmac.compare_digest(f"v1,{expected}", one) for one in given)


async def accept(_: Any) -> int:
    return 204


@dataclass
class Receiver:
    """A subscriber on this machine.

    Attributes:
        answer: Returns the status that answers an event's body; may take long.
        seen: Every request, in the order of the answers.
        most: The most requests in progress at once.
    """

    answer: Callable[[Any], Awaitable[int]] = accept
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    most: int = 0
    _now: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    @property
    def acknowledged(self) -> list[Seen]:
        return [one for one in self.seen if 200 <= one.status < 300]

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/events", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            status = await self.answer(json.loads(raw))
        finally:
            self._now -= 1
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append(Seen(headers, raw, status))
        return web.Response(status=status, headers=self.headers)


@asynccontextmanager
async def receiver(answer: Callable[[Any], Awaitable[int]] = accept) -> AsyncIterator[Receiver]:
    made = Receiver(answer)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


def deliveries(database: Database, rules: EventRules = QUICK) -> Deliveries:
    return Deliveries(database, rules)


async def subscribe(database: Database, user_id: UUID, url: str, **fields: Any) -> MadeEndpoint:
    asked = cast("EndpointFields", {"url": url, **fields})
    return await EventEndpoints(database, QUICK).create(asked, user_id)


async def deliver_all(
    made: Deliveries, endpoint_id: UUID, *, patience: float = 40
) -> list[EventsRound]:
    """Deliver in rounds and wait in between, as the workflow does, until nothing is left."""
    rounds = []
    async with asyncio.timeout(patience):
        while True:
            rounds.append(await made.deliver(endpoint_id))
            at = rounds[-1].next_at
            if at is None:
                return rounds
            await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
