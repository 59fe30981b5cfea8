"""A user's own sessions: listing and ending them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from domain.statuses.access import Role
from services.access.users import UserDetails
from services.factory import Services
from storage.platform.database import Database
from tests.api.conftest import Connect, whole_token

PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:133.0) Gecko/20100101 Firefox/133.0"

SignIn = Callable[..., Awaitable[httpx.AsyncClient]]


@pytest.fixture
async def kim(services: Services) -> UserDetails:
    return await services.users.create(
        email="kim@clinic.example", role=Role.VIEWER, password=PASSWORD
    )


@pytest.fixture
async def sign_in(app: FastAPI, kim: UserDetails) -> AsyncIterator[SignIn]:
    """Opens another browser and signs in at it."""
    async with AsyncExitStack() as clients:

        async def signed_in(
            user_agent: str = FIREFOX, address: str = "198.51.100.7", email: str = kim.email
        ) -> httpx.AsyncClient:
            client = httpx.AsyncClient(
                transport=httpx.ASGITransport(app, client=(address, 1234)),
                base_url="https://segue.test",
                headers={"Origin": "https://segue.test", "User-Agent": user_agent},
            )
            await clients.enter_async_context(client)
            body = {"email": email, "password": PASSWORD}
            assert (await client.post("/api/session", json=body)).status_code == 200
            return client

        yield signed_in


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await client.get("/api/me/sessions")
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_user_sees_their_sessions(sign_in: SignIn) -> None:
    desk = await sign_in()
    await sign_in("curl/8.9.1", "2001:db8::1")

    other, own = await listed(desk)

    assert (own["device"], own["address"]) == ("Firefox on Windows", "198.51.100.7")
    assert (other["device"], other["address"]) == ("Unknown device", "2001:db8::1")
    assert (own["is_current"], other["is_current"]) == (True, False)
    assert own["created_at"] <= own["last_seen_at"] < own["expires_at"]
    assert own.keys() == {
        *("id", "device", "address", "created_at", "last_seen_at", "expires_at", "is_current")
    }


async def test_ended_session_leaves_the_others(sign_in: SignIn) -> None:
    desk, phone, lost = await sign_in(), await sign_in(), await sign_in()
    gone = (await listed(lost))[0]
    assert gone["is_current"]
    path = f"/api/me/sessions/{gone['id']}"

    assert (await phone.delete(path)).status_code == 204
    assert (await phone.delete(path)).status_code == 204

    assert (await lost.get("/api/me")).status_code == 401
    assert len(await listed(desk)) == 2


async def test_current_session_can_be_ended(sign_in: SignIn) -> None:
    desk = await sign_in()
    [own] = await listed(desk)

    assert (await desk.delete(f"/api/me/sessions/{own['id']}")).status_code == 204

    assert (await desk.get("/api/me")).status_code == 401


async def test_user_signs_out_of_all_other_sessions(
    sign_in: SignIn, connect: Connect, services: Services, kim: UserDetails
) -> None:
    desk, phone, tablet = await sign_in(), await sign_in(), await sign_in()

    assert (await desk.delete("/api/me/sessions")).status_code == 204

    assert [(await one.get("/api/me")).status_code for one in (desk, phone, tablet)] == [
        *(200, 401, 401)
    ]
    # A token has no session of its own.
    client = await connect(token=await whole_token(services, kim.id))
    assert (await client.delete("/api/me/sessions")).status_code == 204
    assert await listed(client) == []


async def test_user_cannot_see_or_end_others_sessions(sign_in: SignIn, services: Services) -> None:
    await services.users.create(email="lou@clinic.example", role=Role.ADMIN, password=PASSWORD)
    desk, others = await sign_in(), await sign_in(email="lou@clinic.example")
    [own] = await listed(desk)

    assert (await others.delete(f"/api/me/sessions/{own['id']}")).status_code == 404
    assert (await others.delete("/api/me/sessions")).status_code == 204
    assert (await desk.delete(f"/api/me/sessions/{uuid4()}")).status_code == 404

    assert [one["id"] for one in await listed(desk)] == [own["id"]]
    assert own["id"] not in [one["id"] for one in await listed(others)]


@pytest.mark.parametrize(
    "over",
    ["ended_at = now()", "expires_at = now() - interval '1 s'", "last_seen_at = now() - :idle"],
)
async def test_ended_sessions_are_not_listed(
    sign_in: SignIn, services: Services, database: Database, over: str
) -> None:
    desk = await sign_in()
    phone = await sign_in()
    gone = (await listed(phone))[0]["id"]
    idle = services.config.access.session_idle + timedelta(seconds=1)
    statement = text(f"UPDATE sessions SET {over} WHERE id = :id")  # noqa: S608
    async with database.transaction() as tx:
        bound = {"id": gone, **({"idle": idle} if ":idle" in over else {})}
        await tx.execute(statement, bound)

    assert gone not in [one["id"] for one in await listed(desk)]


async def test_sessions_come_in_pages(sign_in: SignIn) -> None:
    for _ in range(3):
        desk = await sign_in()

    first = (await desk.get("/api/me/sessions", params={"limit": 2})).json()
    rest = (await desk.get("/api/me/sessions", params={"cursor": first["next_cursor"]})).json()

    assert first["items"][0]["is_current"]
    assert len({one["id"] for one in first["items"] + rest["items"]}) == 3


async def test_session_without_an_address_is_listed(sign_in: SignIn, database: Database) -> None:
    desk = await sign_in()
    async with database.transaction() as tx:
        await tx.execute(text("UPDATE sessions SET address = NULL, user_agent = NULL"))

    [own] = await listed(desk)
    page = (await desk.get("/settings/account", headers={"Accept": "text/html"})).text

    assert (own["device"], own["address"]) == ("Unknown device", None)
    assert "Unknown device" in page
