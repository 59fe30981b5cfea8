"""The API's start and stop."""

import asyncio
import logging

import httpx
import pytest

from api.app import create_app
from settings import ApiSettings


async def test_api_starts_without_its_servers_and_logs_what_it_waits_for(
    settings: ApiSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "api.app")
    nowhere = settings.model_copy(
        update={
            "database_url": "postgresql+psycopg://nobody@127.0.0.1:1/none",
            "temporal_address": "127.0.0.1:1",
        }
    )
    app = create_app(nowhere)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://segue.test"
        ) as client,
    ):
        alive = await client.get("/healthz")
        ready = await client.get("/readyz")
        async with asyncio.timeout(10):
            awaited = "waiting for PostgreSQL and Temporal"
            while awaited not in caplog.messages:  # noqa: ASYNC110 - a log has no event to wait for
                await asyncio.sleep(0.01)

    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["away"] == ["database", "temporal"]
