"""The API as a process: it finishes requests at SIGTERM and logs nothing personal."""

import asyncio
import json
import signal

import httpx
import psycopg

from standalone.ports import free_port
from standalone.temporal import TemporalServer
from tests.kits.programs import Start
from tests.workflows.plays import eventually

NUMBER = "+12125550187"
TOKEN = "sgt_" + "A" * 43


async def test_request_under_way_at_sigterm_is_answered(
    start: Start,
    database_url: str,
    temporal_server: TemporalServer,
    temporal_namespace: str,
) -> None:
    """Rule: the API finishes its requests on SIGTERM; its lines are JSON without numbers."""
    port = free_port()
    api = start(
        *("uvicorn", "--factory", "api.app:create_app", "--port", str(port)),
        *("--timeout-graceful-shutdown", "20", "--loop", "api.event_loop:new_event_loop"),
        DATABASE_URL=database_url,
        TEMPORAL_ADDRESS=temporal_server.address,
        TEMPORAL_NAMESPACE=temporal_namespace,
        SESSION_SECRET="known to everybody, so of tests alone",
        LOG_FORMAT="json",
    )
    plain = database_url.replace("postgresql+psycopg://", "postgresql://")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:

        async def ready() -> bool:
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready)
        await http.get(f"/api/contacts/{NUMBER}", params={"search": "Rosalind"})
        with psycopg.connect(plain) as blocking:
            blocking.execute("LOCK TABLE users, api_tokens IN ACCESS EXCLUSIVE MODE")
            headers = {"Authorization": f"Bearer {TOKEN}", "X-Request-ID": "last"}
            asked = asyncio.create_task(http.get("/api/contacts", headers=headers))
            await asyncio.sleep(0.5)
            api.send(signal.SIGTERM)
            await api.says("Shutting down")
            assert not asked.done()
            blocking.rollback()
        answer = await asked
        code = await api.ends()

    assert code in {0, -signal.SIGTERM}, "uvicorn raises the signal again at the end"
    assert answer.status_code == 401
    assert answer.headers["X-Request-ID"] == "last"
    lines = [json.loads(line) for line in api.output().splitlines() if line.startswith("{")]
    requests = [line for line in lines if line["logger"] == "api.request_log"]
    assert [line["message"] for line in requests] == [
        "GET /api/contacts/***87 401",
        "GET /api/contacts 401",
    ]
    assert requests[-1]["request_id"] == "last"
    assert [word for word in (NUMBER[1:], "Rosalind", TOKEN) if word in api.output()] == []
    assert "GET /" not in "".join(
        line for line in api.output().splitlines() if not line.startswith("{")
    ), "the server writes no access lines"
