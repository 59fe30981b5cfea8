"""HTTP itself: disconnects, HEAD, Allow, security headers, allowed hosts."""

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY
from starlette.types import Message

from api.app import create_app
from api.headers import SECURITY_HEADERS
from services.factory import Services
from settings import ApiSettings
from tests.api.conftest import Connect
from tests.api.record import RECORDED
from tests.kits.heads import assert_same_head

FORM = "application/x-www-form-urlencoded"
INBOUND = "/webhooks/twilio/inbound"


async def hang_up(app: FastAPI, path: str, kind: str) -> list[int]:
    """Send half a body, then disconnect; return the statuses that were still sent."""
    messages: list[Message] = [
        {"type": "http.request", "body": b"a=", "more_body": True},
        {"type": "http.disconnect"},
    ]
    answered: list[int] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [
                (b"host", b"segue.test"),
                (b"content-type", kind.encode()),
                (b"content-length", b"1000"),
            ],
            "client": ("198.51.100.7", 1234),
            "server": ("segue.test", 80),
            "scheme": "http",
        },
        receive,
        send,
    )
    return answered


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (INBOUND, FORM),
        ("/webhooks/twilio/status", FORM),
        ("/sign-in", FORM),
        ("/api/session", "application/json"),
    ],
)
async def test_client_that_disconnects_leaves_one_quiet_log_line(
    app: FastAPI, path: str, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    labels = {"method": "POST", "route": path}
    before = counted("segue_http_requests_total", status="499", **labels)

    answered = await hang_up(app, path, kind)

    assert answered == [499]
    assert caplog.messages == [f"POST {path} 499"]
    assert not [record for record in caplog.records if record.exc_info]
    assert counted("segue_http_requests_total", status="499", **labels) == before + 1


async def test_provider_that_disconnects_counts_as_neither_refused_nor_failed(app: FastAPI) -> None:
    def webhooks(result: str) -> float:
        return counted("segue_webhook_seconds_count", kind="inbound", result=result)

    before = {result: webhooks(result) for result in ("refused", "failed", "gone")}

    await hang_up(app, INBOUND, FORM)

    after = {result: webhooks(result) for result in before}
    assert after == {**before, "gone": before["gone"] + 1}


@pytest.mark.parametrize("path", ["/api/contacts", "/contacts"])
async def test_unexpected_error_has_security_headers(
    path: str, connect: Connect, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(services.users, "authenticate", fail)
    client = await connect(token="sgt_any")

    answer = await client.get(path, headers={"X-Request-ID": "mine"})

    assert answer.status_code == 500
    assert {name: answer.headers.get(name) for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert answer.headers.get_list("content-security-policy") == [
        SECURITY_HEADERS["Content-Security-Policy"]
    ]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == "mine"


_HOSTS: Sequence[tuple[str, bool]] = [
    ("segue.test", True),
    ("SEGUE.test:443", True),
    ("segue.test.", True),
    ("other.test", True),  # of ALLOWED_HOSTS
    ("localhost:8000", True),
    ("127.0.0.1:8000", True),
    ("[::1]:8000", True),
    ("evil.example", False),
    ("segue.test.evil.example", False),
    ("evil-segue.test", False),
    ("127.0.0.1.evil.example", False),
    ("10.0.0.5", False),
    ("[::2]", False),
    ("[", False),
    ("", False),
    ("user@segue.test", False),
]


async def test_only_known_hosts_are_answered(member: httpx.AsyncClient) -> None:
    for host, answers in _HOSTS:
        data = await member.get("/api/contacts", headers={"Host": host})
        page = await member.get("/sign-in", headers={"Host": host, "Accept": "text/html"})

        assert (data.status_code, page.status_code) == ((200, 200) if answers else (421, 421)), host
        if not answers:
            assert data.json()["code"] == "unknown_host", host
            assert "ALLOWED_HOSTS" in data.json()["detail"], host
            assert data.headers["content-security-policy"], host


async def test_health_checks_and_webhooks_accept_any_host(anonymous: httpx.AsyncClient) -> None:
    """Probes use the container's address, proxies whatever name they know it by."""
    for host in ("10.0.0.5:8000", "segue_api", ""):
        health = await anonymous.get("/healthz", headers={"Host": host})
        ready = await anonymous.get("/readyz", headers={"Host": host})
        webhook = await anonymous.post(INBOUND, data={"a": "b"}, headers={"Host": host})
        assert (health.status_code, ready.status_code) == (200, 200)
        assert webhook.json()["code"] == "invalid_signature"


async def test_https_address_sends_hsts(
    anonymous: httpx.AsyncClient, settings: ApiSettings, services: Services
) -> None:
    here = "http://127.0.0.1:8000"
    app = create_app(settings.model_copy(update={"public_base_url": here}), services=services)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=here) as plain:
        answer = await plain.get("/healthz")

    assert "strict-transport-security" not in answer.headers
    secure = await anonymous.get("/healthz")
    assert secure.headers["strict-transport-security"] == "max-age=31536000"


async def test_allow_lists_every_method_of_a_path(anonymous: httpx.AsyncClient) -> None:
    """Each documented path is asked with a method that it does not have."""
    wrong: dict[str, str] = {}
    for path, operations in json.loads(RECORDED.read_text())["paths"].items():
        offered = {method.upper() for method in operations}
        one = path.format(**dict.fromkeys(_names(path), "6f1c9f0e-3b1d-4a55-9c3e-0a8f2d7b4c11"))

        answer = await anonymous.request("TRACE", one)

        allowed = set(answer.headers.get("allow", "").split(", "))
        expected = offered | ({"HEAD"} if "GET" in offered else set())
        if answer.status_code != 405 or not allowed >= expected or "" in allowed:
            wrong[path] = f"{answer.status_code} {sorted(allowed)}"
    assert wrong == {}


async def test_path_of_several_routes_allows_the_methods_of_each(
    anonymous: httpx.AsyncClient,
) -> None:
    contacts = await anonymous.put("/api/contacts")
    session = await anonymous.put("/api/session")
    page = await anonymous.put("/sign-in", headers={"Accept": "text/html"})
    built = await anonymous.put("/static/build/nothing.js")

    assert contacts.headers["allow"] == "GET, HEAD, POST"
    assert session.headers["allow"] == "DELETE, GET, HEAD, POST"
    assert page.headers["allow"] == "GET, HEAD, POST"
    assert built.headers["allow"] == "GET, HEAD"


async def test_head_is_get_without_the_body(admin: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/api/contacts", "/api/me"):  # of the document: test_document.py
        await assert_same_head(admin, path)


async def test_head_of_a_page_redirects_as_get_does(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.head("/sign-in", headers={"Accept": "text/html"})
    private = await anonymous.head("/contacts", headers={"Accept": "text/html"})
    missing = await anonymous.head("/nothing")
    only_post = await anonymous.head("/sign-out")

    assert (page.status_code, page.content) == (200, b"")
    assert int(page.headers["content-length"]) > 0
    assert private.status_code == 303
    assert private.headers["location"] == "/sign-in?next=%2Fcontacts"
    assert (missing.status_code, missing.content) == (404, b"")
    assert (only_post.status_code, only_post.headers["allow"]) == (405, "POST")


async def test_head_stops_an_export_once_its_headers_are_sent(
    admin: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = asyncio.Event()

    async def endless() -> Any:
        try:
            while True:
                yield b"one,two\r\n"
                await asyncio.sleep(0)
        finally:
            stopped.set()

    async def contacts(*_: Any, **__: Any) -> Any:
        return endless()

    monkeypatch.setattr(services.exporting, "contacts", contacts)

    answer = await asyncio.wait_for(admin.head("/api/contacts/export"), 10)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/csv")
    await asyncio.wait_for(stopped.wait(), 10)


async def test_head_is_logged_as_head(
    admin: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "api.request_log")

    await admin.head("/api/groups")

    assert caplog.messages == ["HEAD /api/groups 200"]


def _names(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
