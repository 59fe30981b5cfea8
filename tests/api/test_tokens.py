"""API tokens: limits on new ones, who may create them, and what ends them."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from api.dependencies import SESSION_COOKIE
from domain.platform.moments import written
from domain.statuses.access import Role, TokenScope
from services.access.own_password import OwnPassword
from services.access.tokens import NewToken
from services.access.users import NotSignedInError, UserDetails
from services.factory import Services
from storage.platform.database import Database
from tests.api.conftest import Connect, whole_token
from tests.kits.browsers import PASSWORD
from tests.kits.locks import until_blocked

NEW_PASSWORD = "another horse battery"
ALL = ["read", "write", "send", "admin"]


@pytest.fixture
async def browser(connect: Connect, services: Services, kim: UserDetails) -> httpx.AsyncClient:
    """A browser where Kim is signed in."""
    client = await connect()
    signed_in = await services.sessions.sign_in(kim.email, PASSWORD, address=None)
    client.headers.update({"Cookie": f"__Host-{SESSION_COOKIE}={signed_in.cookie}"})
    client.headers["Origin"] = "https://segue.test"
    return client


async def make(
    client: httpx.AsyncClient, path: str = "/api/me/tokens", **fields: Any
) -> httpx.Response:
    return await client.post(path, json={"name": "ci", **fields})


def from_now(**span: float) -> str:
    return (datetime.now(UTC) + timedelta(**span)).isoformat()


def code_and_field(answer: httpx.Response) -> tuple[str, str]:
    assert answer.status_code == 422, answer.text
    problem = answer.json()
    return problem["code"], problem["errors"][0]["field"]


async def test_revoked_tokens_never_hide_a_valid_one(
    admin: httpx.AsyncClient,
    member: httpx.AsyncClient,
    services: Services,
    database: Database,
    kim: UserDetails,
) -> None:
    await services.tokens.create(kim.id, name="hidden", scopes=TokenScope, expires_at=None)
    async with database.transaction() as tx:
        await tx.execute(
            text(
                "INSERT INTO api_tokens (id, user_id, name, token_hash, created_at, revoked_at)"
                " SELECT gen_random_uuid(), :user, 'gone', 'hash ' || n,"
                " now() + interval '1 s', now() FROM generate_series(1, 101) n"
            ),
            {"user": kim.id},
        )

    listed = (await admin.get(f"/api/users/{kim.id}/tokens")).json()
    page = (await admin.get(f"/settings/users/{kim.id}")).text

    assert [token["name"] for token in listed["items"]] == ["hidden"]
    assert listed["next_cursor"] is None
    assert "hidden" in page
    assert "gone" not in page


async def test_page_links_to_every_token(
    admin: httpx.AsyncClient, services: Services, kim: UserDetails
) -> None:
    for number in range(51):
        await services.tokens.create(
            kim.id, name=f"token {number:02}", scopes=[TokenScope.READ], expires_at=None
        )

    first = (await admin.get(f"/settings/users/{kim.id}")).text
    following = first.partition('href="/settings/users/')[2]
    address = next(
        part.partition('"')[0].replace("&amp;", "&")
        for part in first.split('href="')
        if "cursor=" in part.partition('"')[0]
    )

    assert following
    assert "token 50" in first
    assert "token 00" not in first
    assert "token 00" in (await admin.get(address)).text


async def test_default_token_reads_for_ninety_days(member: httpx.AsyncClient) -> None:
    made = (await make(member)).json()

    assert made["scopes"] == ["read"]
    lifetime = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89) < lifetime <= timedelta(days=90)


async def test_token_never_expires_only_if_asked(member: httpx.AsyncClient) -> None:
    made = (await make(member, scopes=ALL, expires_at=None)).json()

    assert (made["scopes"], made["expires_at"]) == (ALL, None)


async def test_session_needs_the_password_to_create_a_token(
    browser: httpx.AsyncClient, services: Services
) -> None:
    without = await make(browser)
    wrong = await make(browser, password="wrong horse battery")
    right = await make(browser, password=PASSWORD)

    assert code_and_field(without) == ("missing", "password")
    assert code_and_field(wrong) == ("wrong_password", "password")
    assert right.status_code == 201
    assert "password" not in right.json()
    [kept] = (await browser.get("/api/me/tokens")).json()["items"]
    assert kept["id"] == right.json()["id"]


async def test_admin_gives_their_own_password_for_anothers_token(
    browser: httpx.AsyncClient, services: Services, kim: UserDetails
) -> None:
    await services.users.change(kim.id, {"role": Role.ADMIN})
    signed_in = await services.sessions.sign_in(kim.email, PASSWORD, address=None)
    browser.headers["Cookie"] = f"__Host-{SESSION_COOKIE}={signed_in.cookie}"
    other = await services.users.create(
        email="lou@clinic.example", role=Role.MEMBER, password=NEW_PASSWORD
    )
    path = f"/api/users/{other.id}/tokens"

    theirs = await make(browser, path, password=NEW_PASSWORD)
    own = await make(browser, path, password=PASSWORD)

    assert code_and_field(theirs) == ("wrong_password", "password")
    assert own.status_code == 201


async def test_password_guesses_of_a_session_are_limited(
    browser: httpx.AsyncClient, services: Services
) -> None:
    most = services.config.access.sign_ins_per_email
    answers = [await make(browser, password="wrong horse battery") for _ in range(most)]

    assert {answer.status_code for answer in answers} == {422}
    assert (await make(browser, password=PASSWORD)).status_code == 429


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"scopes": ALL}, "scopes"),
        ({"scopes": ["write"]}, "scopes"),
        ({"expires_at": None}, "expires_at"),
        ({"expires_at": from_now(hours=2)}, "expires_at"),
    ],
)
async def test_token_cannot_create_one_beyond_its_own_scopes_or_expiry(
    connect: Connect,
    services: Services,
    kim: UserDetails,
    fields: dict[str, Any],
    field: str,
) -> None:
    mine = await narrow(services, kim)
    client = await connect(token=mine.token)

    refused = await make(client, **{"expires_at": from_now(minutes=5), **fields})

    assert code_and_field(refused) == ("exceeds_token", field)
    assert len((await client.get("/api/me/tokens")).json()["items"]) == 1


async def test_token_created_by_a_token_expires_with_it_by_default(
    connect: Connect, services: Services, kim: UserDetails
) -> None:
    mine = await narrow(services, kim)
    client = await connect(token=mine.token)

    made = (await make(client)).json()
    short = await make(client, scopes=["admin"], expires_at=from_now(minutes=5))

    assert made["scopes"] == ["read"]
    assert mine.details.expires_at is not None
    assert made["expires_at"] == written(mine.details.expires_at)
    assert short.status_code == 201


async def test_admin_token_cannot_create_one_for_others_beyond_its_own(
    connect: Connect, services: Services, kim: UserDetails
) -> None:
    boss = await services.users.create(email="boss@clinic.example", role=Role.ADMIN)
    client = await connect(token=(await narrow(services, boss)).token)
    path = f"/api/users/{kim.id}/tokens"

    beyond = await make(client, path, scopes=["send"], expires_at=from_now(minutes=5))
    within = await make(client, path)

    assert code_and_field(beyond) == ("exceeds_token", "scopes")
    assert within.status_code == 201


async def narrow(services: Services, user: UserDetails) -> NewToken:
    """Create a token that reads and manages for an hour."""
    until = datetime.now(UTC) + timedelta(hours=1)
    scopes = [TokenScope.READ, TokenScope.ADMIN]
    return await services.tokens.create(user.id, name="mine", scopes=scopes, expires_at=until)


@pytest.mark.parametrize("revoke", [True, False])
async def test_password_change_revokes_tokens_if_asked(
    browser: httpx.AsyncClient,
    connect: Connect,
    services: Services,
    kim: UserDetails,
    *,
    revoke: bool,
) -> None:
    client = await connect(token=await whole_token(services, kim.id))
    body = {"current_password": PASSWORD, "new_password": NEW_PASSWORD, "revoke_tokens": revoke}

    assert (await browser.put("/api/me/password", json=body)).status_code == 204

    assert (await browser.get("/api/me")).status_code == 401
    assert (await client.get("/api/me")).status_code == (401 if revoke else 200)


@pytest.mark.parametrize("revoke", [True, False])
async def test_reset_ends_password_and_sessions_and_tokens_if_asked(
    admin: httpx.AsyncClient,
    browser: httpx.AsyncClient,
    connect: Connect,
    services: Services,
    kim: UserDetails,
    *,
    revoke: bool,
) -> None:
    client = await connect(token=await whole_token(services, kim.id))

    made = await admin.post(f"/api/users/{kim.id}/set-up-links", json={"revoke_tokens": revoke})

    assert made.status_code == 201
    assert (await browser.get("/api/me")).status_code == 401
    body = {"email": kim.email, "password": PASSWORD}
    assert (await browser.post("/api/session", json=body)).status_code == 401
    assert (await client.get("/api/me")).status_code == (401 if revoke else 200)


async def test_session_that_ends_meanwhile_creates_no_token(
    browser: httpx.AsyncClient,
    services: Services,
    kim: UserDetails,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A stolen session races its owner, who changes the password and revokes all tokens."""
    confirm = OwnPassword.confirm

    async def then_changed(self: OwnPassword, user_id: Any, password: str) -> None:
        await confirm(self, user_id, password)
        await services.own_password.change(
            user_id, current=PASSWORD, new=NEW_PASSWORD, revoke_tokens=True
        )

    monkeypatch.setattr(OwnPassword, "confirm", then_changed)

    assert (await make(browser, password=PASSWORD)).status_code == 401
    assert (await services.tokens.of_user(kim.id)).items == []


@pytest.mark.parametrize("first", ["token", "reset"])
async def test_token_created_during_a_reset_does_not_outlive_it(
    services: Services, database: Database, kim: UserDetails, first: str
) -> None:
    caller = await services.users.authenticate(await whole_token(services, kim.id))

    async def token() -> None:
        await services.tokens.grant(caller, kim.id, {"name": "beside", "expires_at": None})

    async def reset() -> None:
        await services.set_up_links.replace_password(kim.id, revoke_tokens=True)

    acts: list[Callable[[], Any]] = [token, reset] if first == "token" else [reset, token]
    # Both wait for the user's row; in either order, no token is left.
    async with database.transaction() as tx:
        await tx.execute(text("SELECT FROM users WHERE id = :id FOR UPDATE"), {"id": kim.id})
        started = []
        for number, act in enumerate(acts, start=1):
            started.append(asyncio.create_task(act()))
            await until_blocked(database, number)
    ends = await asyncio.gather(*started, return_exceptions=True)

    assert [end for end in ends if end and not isinstance(end, NotSignedInError)] == []
    assert (await services.tokens.of_user(kim.id)).items == []
