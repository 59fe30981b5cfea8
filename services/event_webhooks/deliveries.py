"""Delivering events: in order within a subject, several subjects side by side."""

import asyncio
import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import SystemRandom
from uuid import UUID

from standardwebhooks import Webhook

from domain.event_webhooks.events import EventRules, EventsRound
from domain.platform.moments import written
from services.event_webhooks.http_client import EndpointAnswer, Post, PostFailedError, connections
from services.platform import audit
from storage.event_webhooks import deliveries, endpoints
from storage.event_webhooks.deliveries import DueDelivery
from storage.platform.database import Database
from storage.tables.event_webhooks import EventEndpoint

_GONE = 410
_OVERLOADED = frozenset({429, 503})
"""Statuses whose ``Retry-After`` is about the endpoint, not about one event."""

_VARIATION = 0.2

_logger = logging.getLogger(__name__)
_dice = SystemRandom()


@dataclass
class _Round:
    """A round of deliveries to one endpoint.

    Attributes:
        secrets: Those that sign: the present one, and for a day the one before.
        ends: When it stops beginning deliveries, by the monotonic clock.
        in_a_row: How many of the latest tries failed.
        over: It begins nothing more.
    """

    endpoint_id: UUID
    url: str
    secrets: Sequence[str]
    post: Post
    ends: float
    delivered: int = 0
    failed: int = 0
    in_a_row: int = 0
    over: bool = False
    running: set[asyncio.Task[None]] = field(default_factory=set)


class Deliveries:
    """Implements ``domain.event_webhooks.events.EventDeliverer``.

    Each try is claimed in one transaction and recorded in another. If the process dies in between
    the claim expires and the event is sent again under the same id: an endpoint may see it twice
    but never misses it.
    """

    def __init__(self, database: Database, rules: EventRules) -> None:
        self._database = database
        self._rules = rules

    async def deliver(self, endpoint_id: UUID) -> EventsRound:
        """Deliver what is due to one endpoint; begin nothing after ``round_length``.

        An event is not tried before the earlier ones of its subject are delivered or given up. A
        removed or disabled endpoint gets nothing.
        """
        async with self._database.transaction() as tx:
            endpoint = await endpoints.get(tx, endpoint_id)
        if endpoint is None or endpoint.disabled_at is not None:
            return EventsRound()
        async with connections(allow_local=self._rules.allow_local) as post:
            ends = time.monotonic() + self._rules.round_length.total_seconds()
            going = _Round(endpoint_id, endpoint.url, _secrets(endpoint), post, ends)
            try:
                await self._go(going)
            finally:
                for task in going.running:
                    task.cancel()
                await asyncio.gather(*going.running, return_exceptions=True)
        return EventsRound(going.delivered, going.failed, await self._next(going))

    async def _go(self, going: _Round) -> None:
        """Keep as many deliveries under way as allowed, until nothing is due."""
        while True:
            room = self._rules.side_by_side - len(going.running)
            if room and not going.over and time.monotonic() < going.ends:
                async with self._database.transaction() as tx:
                    due = await deliveries.claim(tx, going.endpoint_id, room, self._rules.claim)
                going.running |= {asyncio.create_task(self._tell(going, one)) for one in due}
            if not going.running:
                return
            done, going.running = await asyncio.wait(
                going.running, return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()

    async def _next(self, going: _Round) -> datetime | None:
        async with self._database.transaction() as tx:
            endpoint = await endpoints.get(tx, going.endpoint_id)
            if endpoint is None or endpoint.disabled_at is not None:
                return None
            pause = self._rules.pause if going.over else timedelta(0)
            return await deliveries.next_due(tx, going.endpoint_id, pause)

    async def _tell(self, going: _Round, due: DueDelivery) -> None:
        """Send one event and record the result."""
        status: int | None = None
        retry_after: timedelta | None = None
        error = ""
        try:
            answer = await self._post(going, due)
            status, retry_after = answer.status, answer.retry_after
        except PostFailedError as failure:
            error = failure.code
        if status is not None and 200 <= status < 300:
            async with self._database.transaction() as tx:
                await deliveries.delivered(tx, going.endpoint_id, due.number, status)
            going.delivered += 1
            going.in_a_row = 0
            return
        going.failed += 1
        going.in_a_row += 1
        if going.in_a_row >= self._rules.failures_in_a_row:
            going.over = True
        if status == _GONE:
            going.over = True
            await self._disable(going, due)
            return
        wait = self._rules.wait(due.tries) * _dice.uniform(1 - _VARIATION, 1 + _VARIATION)
        rests = False
        if retry_after is not None:
            wait = self._rules.asked(retry_after)
            rests = status in _OVERLOADED
            going.over = going.over or rests
        async with self._database.transaction() as tx:
            await deliveries.failed(
                tx,
                going.endpoint_id,
                due.number,
                status=status,
                error=error or f"answered_{status}",
                wait=wait,
                give_up=self._rules.give_up,
            )
            if rests:
                await deliveries.rest(tx, going.endpoint_id, wait)

    async def _post(self, going: _Round, due: DueDelivery) -> EndpointAnswer:
        body = _body(due)
        event_id = str(due.event_id)
        sent_at = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "user-agent": "Segue",
            "webhook-id": event_id,
            "webhook-timestamp": str(int(sent_at.timestamp())),
            "webhook-signature": " ".join(
                Webhook(one).sign(event_id, sent_at, body) for one in going.secrets
            ),
        }
        return await going.post(going.url, headers, body.encode())

    async def _disable(self, going: _Round, due: DueDelivery) -> None:
        """Disable an endpoint that says it is gone; its events keep waiting."""
        async with self._database.transaction() as tx:
            await deliveries.failed(tx, going.endpoint_id, due.number, status=_GONE, error="gone")
            if await endpoints.disable(tx, going.endpoint_id):
                await audit.record(
                    tx, "event_endpoint.disable", "event_endpoint", [going.endpoint_id], code=_GONE
                )
        _logger.warning("an event endpoint is gone", extra={"endpoint": str(going.endpoint_id)})


def _secrets(endpoint: EventEndpoint) -> Sequence[str]:
    before, until = endpoint.previous_secret, endpoint.previous_secret_until
    if before is None or until is None or until <= datetime.now(UTC):
        return (endpoint.secret,)
    return endpoint.secret, before


def _body(due: DueDelivery) -> str:
    """Write an event as it is sent: the same at every try."""
    body = {"type": due.type, "timestamp": written(due.occurred_at), "data": due.data}
    return json.dumps(body, separators=(",", ":"), sort_keys=True)
