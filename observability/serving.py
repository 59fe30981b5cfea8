"""Serves /metrics, and /healthz for a worker's health check."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

from observability import metrics
from services.maintenance.health import Health, HealthReport

KEEP_SECONDS = 10
"""How long what was read of the database and Temporal is reused: several may scrape."""


class MetricsAddressError(Exception):
    """The metrics cannot be served at the configured address."""


@asynccontextmanager
async def metrics_served(address: str | None, health: Health) -> AsyncIterator[None]:
    """Serve this process's metrics inside the block at ``host:port``, unless that is None.

    The event loop that does the work serves them, so that a health check notices if it is stuck.

    Raises:
        MetricsAddressError: The address is taken, or is not of this machine.
    """
    if address is None:
        yield
        return
    app = web.Application()
    lock, read_at = asyncio.Lock(), float("-inf")

    async def scraped(request: web.Request) -> web.Response:
        nonlocal read_at
        async with lock:
            if time.monotonic() - read_at >= KEEP_SECONDS:
                show(await health.read())
                read_at = time.monotonic()
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(REGISTRY), headers={"Content-Type": content_type})

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    app.add_routes([web.get("/metrics", scraped), web.get("/healthz", alive)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        host, _, port = address.rpartition(":")
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise MetricsAddressError(
                f"METRICS_ADDRESS is wrong: {address} cannot be listened on"
                f" ({error.strerror}); give each process one of its own"
            ) from None
        yield
    finally:
        await runner.cleanup()


def show(report: HealthReport) -> None:
    """Set every gauge of the deployment's state; leave out what could not be read, never stale."""
    metrics.PART_UP.labels("database").set(report.counts is not None)
    metrics.PART_UP.labels("temporal").set(report.backlogs is not None)
    for gauge in (
        metrics.HELD,
        metrics.OUTBOX_PARKED,
        metrics.UNAPPLIED,
        metrics.QUEUE_BACKLOG,
        metrics.QUEUE_AGE,
    ):
        gauge.clear()
    nothing = float("nan")
    counts = report.counts
    for reason, held in counts.held.items() if counts else ():
        metrics.HELD.labels(reason.value).set(held)
    for kind, parked in counts.parked.items() if counts else ():
        metrics.OUTBOX_PARKED.labels(kind).set(parked)
    if counts:
        metrics.UNAPPLIED.labels("text").set(counts.unapplied_texts)
        metrics.UNAPPLIED.labels("report").set(counts.unapplied_reports)
    metrics.SENDERS_ON_HOLD.set(counts.senders_on_hold if counts else nothing)
    metrics.OVERDUE.set(counts.overdue if counts else nothing)
    metrics.OUTBOX_ENTRIES.set(counts.outbox if counts else nothing)
    metrics.OUTBOX_AGE.set(counts.outbox_age.total_seconds() if counts else nothing)
    metrics.FETCH_LAG.set(counts.fetch_lag.total_seconds() if counts else nothing)
    metrics.UNRECONCILED.set(counts.unreconciled if counts else nothing)
    metrics.DOUBLED.set(counts.doubled if counts else nothing)
    metrics.WAITING_EVENTS.set(counts.waiting_events if counts else nothing)
    for backlog in report.backlogs or ():
        metrics.QUEUE_BACKLOG.labels(backlog.queue, backlog.kind).set(backlog.tasks)
        metrics.QUEUE_AGE.labels(backlog.queue, backlog.kind).set(backlog.age.total_seconds())
