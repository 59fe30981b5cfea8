"""One log line and one measurement per request, without anything a person typed."""

import logging
from uuid import uuid4

import httpx
import pytest
from prometheus_client import REGISTRY

from api.app import create_app
from domain.statuses.access import Role, TokenScope
from observability.logs import TextLines
from services.factory import Services
from settings import ApiSettings
from tests.api.conftest import Connect

LOGGER = "api.request_log"


def count(method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("segue_http_requests_total", labels) or 0.0


async def test_line_has_the_path_without_the_query(
    member: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    contact = uuid4()
    before = count("GET", "/api/contacts/{contact_id}", 404)
    await member.get("/api/contacts", params={"search": "Rosalind"})
    await member.get(f"/api/contacts/{contact}")

    lines = [entry for entry in caplog.records if entry.name == LOGGER]
    assert [line.getMessage() for line in lines] == [
        "GET /api/contacts 200",
        f"GET /api/contacts/{contact} 404",
    ]
    assert "Rosalind" not in str([vars(line) for line in lines])
    assert vars(lines[1])["route"] == "/api/contacts/{contact_id}"
    assert vars(lines[1])["duration_ms"] > 0
    assert count("GET", "/api/contacts/{contact_id}", 404) == before + 1


async def test_external_ids_stay_out_of_lines_and_measurements(
    member: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    route = "/api/contacts/by-external-id/{external_id}"
    before = count("GET", route, 404)
    for method in ("GET", "HEAD"):
        await member.request(method, "/api/contacts/by-external-id/ann%2F@example.com")

    assert caplog.messages == [f"GET {route} 404", f"HEAD {route} 404"]
    assert count("GET", route, 404) == before + 1
    assert "example.com" not in str([vars(entry) for entry in caplog.records])


async def test_a_line_says_who_called_and_from_where(
    connect: Connect, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    user = await services.users.create(email="kim@clinic.example", role=Role.VIEWER)
    made = await services.tokens.create(user.id, name="ci", scopes=TokenScope, expires_at=None)
    client = await connect(token=made.token)
    await client.get("/api/contacts")
    await client.post("/api/groups", json={"name": "Callers"})
    del client.headers["Authorization"]
    await client.get("/api/contacts")

    known = {"user_id": str(user.id), "token_id": str(made.details.id), "address": "127.0.0.1"}
    lines = [vars(entry) for entry in caplog.records if entry.name == LOGGER]
    said = [{name: line[name] for name in known if name in line} for line in lines]
    assert [line["status"] for line in lines] == [200, 403, 401]
    assert said == [known, known, {"address": "127.0.0.1"}]
    text = TextLines().format(caplog.records[0])
    assert f"user_id={user.id} token_id={made.details.id} address=127.0.0.1" in text


@pytest.mark.parametrize("method", ["GET", "BREW"])
async def test_unknown_paths_share_one_series_without_a_path(
    method: str, anonymous: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    before = count("(none)", "(none)", 404)
    await anonymous.request(method, "/wp-admin/Rosalind")

    assert count("(none)", "(none)", 404) == before + 1
    assert caplog.messages == ["(none) (none) 404"]


async def test_log_line_cannot_be_forged(
    member: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    await member.get("/api/contacts/x%0Aforged")

    assert caplog.messages == ["GET /api/contacts/x%0Aforged 422"]


async def test_health_checks_are_not_logged(
    anonymous: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    await anonymous.get("/healthz")
    await anonymous.get("/readyz")

    assert caplog.messages == []


async def test_request_id_of_the_caller_is_kept(anonymous: httpx.AsyncClient) -> None:
    given = "web-1.7f3c_9"
    answer = await anonymous.get("/healthz", headers={"X-Request-ID": given})

    assert answer.headers["X-Request-ID"] == given


@pytest.mark.parametrize("given", ["", "two words", "x" * 65, "a\tb"])
async def test_request_without_an_id_gets_one(given: str, anonymous: httpx.AsyncClient) -> None:
    first = await anonymous.get("/healthz", headers={"X-Request-ID": given})
    second = await anonymous.get("/healthz")

    ids = {first.headers["X-Request-ID"], second.headers["X-Request-ID"]}
    assert len(ids) == 2
    assert all(len(one) == 32 and one.isalnum() for one in ids)


async def test_unexpected_error_is_logged_and_counted(
    settings: ApiSettings, services: Services
) -> None:
    app = create_app(settings, services=services)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    before = count("GET", "/broken", 500)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://segue.test") as http:
        answer = await http.get("/broken", headers={"X-Request-ID": "mine"})

    assert answer.status_code == 500
    assert answer.headers["X-Request-ID"] == "mine"
    assert count("GET", "/broken", 500) == before + 1


@pytest.mark.parametrize("kind", ["inbound", "status"])
async def test_webhooks_are_timed_by_kind_and_result(kind: str, connect: Connect) -> None:
    def timed() -> float:
        labels = {"kind": kind, "result": "refused"}
        return REGISTRY.get_sample_value("segue_webhook_seconds_count", labels) or 0.0

    before = timed()
    client = await connect()
    answer = await client.post(f"/webhooks/twilio/{kind}", data={"From": "+12125550187"})

    assert answer.status_code == 403
    assert timed() == before + 1
