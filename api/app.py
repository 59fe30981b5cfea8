"""The API: its composition, start and end."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from api import (
    audit,
    consents,
    contacts,
    conversations,
    document,
    enrollments,
    event_webhooks,
    events,
    exports,
    fields,
    groups,
    health,
    imports,
    jobs,
    media,
    messages,
    notes,
    problems,
    reports,
    reviews,
    rule_packs,
    saved_replies,
    senders,
    sequence_templates,
    sequences,
    session,
    suppressions,
    twilio,
    users,
    workspace,
)
from api.admission import Admission
from api.body_limit import STRANGERS_BYTES, BodyLimit, Limits
from api.by_path import ByPath
from api.dependencies import authorize
from api.head import HeadAsGet
from api.headers import SecurityHeaders
from api.hosts import KnownHosts
from api.pages import errors as page_errors
from api.pages import imports as page_imports
from api.pages import routes as pages
from api.pages.sequences import enroll
from api.request_log import RequestLog
from api.schemas.problems import Problem
from observability import logs
from observability.garbage import spare_what_is_loaded
from observability.sdk import sdk_runtime
from observability.serving import metrics_served
from observability.tracing import Traces
from services.factory import ServiceConfig, Services, gateway_of
from settings import ApiSettings
from storage.platform.database import Database, Pools
from workflows.client import EnrollmentClient, connect_to_temporal

MAX_BODY_BYTES = 5_000_000
"""The largest body: 10,000 ids, the most any request needs, fit into a tenth of it."""

_WAIT_SECONDS = 5
_GATEWAY_CALLS = 4
_CONNECTIONS, _WEBHOOK_CONNECTIONS = 20, 10
"""To the database. Webhooks have their own, so that no list or upload delays a STOP."""

_logger = logging.getLogger(__name__)

_PROBLEM: dict[int | str, Any] = {"default": {"model": Problem}}
"""Tells that errors are problems; the document says which: see api/document.py."""


class _Application(FastAPI):
    """FastAPI with middleware outside of its own answer to unexpected errors.

    ``add_middleware`` adds inside of that.
    """

    def build_middleware_stack(self) -> ASGIApp:
        """Wrap everything else."""
        inner = RequestLog(HeadAsGet(super().build_middleware_stack()))
        return SecurityHeaders(Admission(inner), is_https=self.state.settings.is_https)


def create_app(
    settings: ApiSettings | None = None,
    *,
    services: Services | None = None,
    traces: Traces | None = None,
) -> FastAPI:
    """Make the application; the factory that uvicorn calls.

    It starts without PostgreSQL and Temporal, and answers 503 until they are up.

    Args:
        settings: None to read the environment.
        services: The caller's use cases, for tests; None to build them from the settings.
        traces: Of requests; None for what the settings say.
    """
    if settings is None:
        settings = ApiSettings.load()
        logs.set_up(settings.log_level, settings.log_format)
    if traces is None:
        traces = Traces.to(settings.otel_exporter_otlp_endpoint, service="segue-api")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        running = _running(settings, traces) if services is None else nullcontext(services)
        async with running as app.state.services:
            yield

    app = _Application(
        title="Segue",
        summary="Automated text-message sequences",
        version="0.1.0",
        openapi_url="/api/openapi.json",
        docs_url=None,  # its page would load from other servers
        redoc_url=None,
        lifespan=lifespan,
        telemetry=TelemetryConfig(
            tracer_provider=traces.provider,
            auto_configure=False,  # it would export what PlainSpans leaves out
            metrics=False,
            logs=False,
            operation_spans=False,
        ),
        redirect_slashes=False,
        generate_unique_id_function=document.operation_id,
    )
    app.state.settings = settings
    app.state.services = services
    problems.install(app, page_errors.answer)
    of_path = dict.fromkeys(twilio.PATHS, STRANGERS_BYTES)
    for path in (
        f"/api{imports.CONTACTS_PATH}",
        f"/api{imports.SUPPRESSIONS_PATH}",
        page_imports.CONTACTS_PATH,
        page_imports.OPT_OUTS_PATH,
        enroll.UPLOAD_PATH,
    ):
        of_path[path] = settings.import_max_bytes
    of_path[f"/api{media.UPLOAD_PATH}"] = media.MAX_BODY_BYTES
    app.add_middleware(BodyLimit, limits=Limits(MAX_BODY_BYTES, of_path))
    app.add_middleware(KnownHosts)
    app.include_router(twilio.router, responses=_PROBLEM)  # first: routes are tried
    app.include_router(health.router, responses=_PROBLEM)
    app.include_router(media.public)
    for part in (
        exports,  # before what takes an id in the same place
        contacts,
        conversations,
        fields,
        groups,
        senders,
        sequences,
        sequence_templates,
        enrollments,
        event_webhooks,
        events,
        imports,
        jobs,
        media,
        messages,
        reports,
        notes,
        consents,
        saved_replies,
        users,
        suppressions,
        reviews,
        audit,
        rule_packs,
        workspace,
    ):
        app.include_router(
            ByPath(part.router, "/api"),
            prefix="/api",
            dependencies=[Depends(authorize)],
            responses=_PROBLEM,
        )
    app.include_router(ByPath(session.router, "/api"), prefix="/api", responses=_PROBLEM)
    pages.install(app)
    document.install(app)
    return app


@asynccontextmanager
async def _running(settings: ApiSettings, traces: Traces) -> AsyncIterator[Services]:
    """Build the use cases, and run their background tasks."""
    temporal = await connect_to_temporal(
        settings.temporal_address,
        settings.temporal_namespace,
        lazy=True,  # calls connect when needed, so nothing here waits for the server
        runtime=sdk_runtime(settings.sdk_metrics_address),
        interceptors=traces.interceptors(),
    )
    gateway = gateway_of(settings, max_concurrent=_GATEWAY_CALLS)
    database, webhooks = (
        Database(settings.database_url, connections=connections, around=traces.transaction)
        for connections in (_CONNECTIONS, _WEBHOOK_CONNECTIONS)
    )
    services = Services(
        database,
        EnrollmentClient(temporal, page_base_url=settings.public_base_url),
        gateway,
        ServiceConfig.of(settings),
        pools=Pools(database, database, webhooks, database),
    )
    services.backfill.missed()  # while no API ran
    background = [
        # What Temporal is told can wait for a moment, webhooks cannot.
        asyncio.create_task(services.outbox.run(is_free=partial(twilio.is_idle, services))),
        asyncio.create_task(services.waking.run()),
        asyncio.create_task(services.backfill.run()),
        asyncio.create_task(_announce(services)),
    ]
    try:
        async with metrics_served(settings.metrics_address, services.health):
            spare_what_is_loaded()
            yield services
    finally:
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await gateway.aclose()
        await webhooks.close()
        await database.close()
        await traces.aclose()


async def _announce(services: Services) -> None:
    """Log what is missing until everything is up."""
    parts = {"PostgreSQL": services.database_ready, "Temporal": services.temporal_ready}
    while away := [name for name, is_ready in parts.items() if not await is_ready()]:
        _logger.warning("waiting for %s", " and ".join(away))
        await asyncio.sleep(_WAIT_SECONDS)
    _logger.info("PostgreSQL and Temporal answer")
