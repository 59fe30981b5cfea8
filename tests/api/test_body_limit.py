"""Limits of request bodies: size before and after authentication, and time to arrive."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import body_limit
from api.body_limit import STRANGERS_BYTES, BodyLimit, Limits

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PATHS = ["/api/contacts", "/api/session", "/webhooks/twilio/inbound"]
BAD = {"Authorization": "Bearer sgt_nobody", "Cookie": "__Host-segue_session=nobody"}


async def chunks(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 1000):
        yield b" " * 1000


@pytest.mark.parametrize("path", PATHS)
async def test_unauthenticated_caller_has_a_small_limit(
    anonymous: httpx.AsyncClient, path: str
) -> None:
    headers = FORM if path.startswith("/webhooks") else JSON
    small = await anonymous.post(path, content=b" " * STRANGERS_BYTES, headers=headers)
    refused = await anonymous.post(path, content=b" " * (STRANGERS_BYTES + 1), headers=headers)
    untold = await anonymous.post(path, content=chunks(STRANGERS_BYTES + 1000), headers=headers)

    assert small.status_code != 413
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")
    assert refused.headers["Connection"] == "close"
    assert (untold.status_code, untold.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("name", BAD)
async def test_bad_credentials_are_refused_before_the_body_is_read(
    anonymous: httpx.AsyncClient, name: str
) -> None:
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        async for piece in chunks(STRANGERS_BYTES * 2):
            read += len(piece)
            yield piece

    answer = await anonymous.post(
        "/api/contacts", content=counted(), headers={**JSON, name: BAD[name]}
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert read == 0


async def test_authenticated_caller_has_the_full_limit(member: httpx.AsyncClient) -> None:
    blank = b" " * (STRANGERS_BYTES * 2)
    body = b'{"first_name": "Ann", "phone": "+14155550123"}' + blank
    assert (await member.post("/api/contacts", content=body, headers=JSON)).status_code == 201


async def test_body_that_does_not_arrive_times_out() -> None:
    async def client() -> Message:
        await asyncio.sleep(60)
        raise AssertionError

    begun = time.monotonic()
    status = await _post(_reader, client, patience=0.05)
    assert status == [408]
    assert time.monotonic() - begun < 5


async def test_body_that_trickles_in_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limit, "SLOWEST_BYTES_PER_SECOND", 1_000)
    sent = 0

    async def client() -> Message:
        nonlocal sent
        await asyncio.sleep(0.01)
        sent += 1
        return {"type": "http.request", "body": b" ", "more_body": True}

    assert await _post(_reader, client, patience=0.1) == [408]
    assert sent < 50


async def test_time_in_the_application_does_not_count() -> None:
    left = 5

    async def client() -> Message:
        nonlocal left
        left -= 1
        return {"type": "http.request", "body": b" ", "more_body": left > 0}

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(5):
            await receive()
            await asyncio.sleep(0.05)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    assert await _post(slow, client, patience=0.1) == [204]


async def test_disconnect_after_the_body_is_awaited_without_a_limit() -> None:
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def client() -> Message:
        if messages:
            return messages.pop()
        await asyncio.sleep(0.2)
        return {"type": "http.disconnect"}

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"
        await send({"type": "http.response.start", "status": 204, "headers": []})

    assert await _post(waiting, client, patience=0.05) == [204]


async def test_early_answer_needs_no_rest_of_the_body() -> None:
    messages: list[Message] = [
        {"type": "http.request", "body": b" ", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def client() -> Message:
        return messages.pop(0)

    async def early(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        assert (await receive())["type"] == "http.disconnect"

    assert await _post(early, client, patience=1) == [204]


async def _reader(scope: Scope, receive: Receive, send: Send) -> None:
    """Read the whole body; as FastAPI does, answer an error that reading raises."""
    try:
        while (await receive()).get("more_body"):
            pass
    except HTTPException as error:
        await send({"type": "http.response.start", "status": error.status_code, "headers": []})


async def _post(app: ASGIApp, client: Receive, *, patience: float) -> list[int]:
    answered: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered.append(message["status"])

    limit = BodyLimit(app, Limits(10_000, {}, patience_seconds=patience))
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/contacts",
        "query_string": b"",
        "headers": [(b"content-length", b"1000")],
        "server": ("segue.test", 80),
        "scheme": "http",
    }
    await asyncio.wait_for(limit(scope, client, send), 10)
    return answered


async def test_text_with_all_its_pictures_fits(anonymous: httpx.AsyncClient) -> None:
    body = "%F0%9F%98%80" * 1600
    media = "".join(f"&MediaUrl{one}={'x' * 2000}" for one in range(10))
    answer = await anonymous.post(PATHS[2], content=f"Body={body}{media}", headers=FORM)
    assert (answer.status_code, answer.json()["code"]) == (403, "invalid_signature")
