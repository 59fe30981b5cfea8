"""Browser sessions: the cookie, what it allows, and when it ends."""

import base64
import hashlib
import hmac
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from domain.statuses.access import Role, TokenScope
from services.access.passwords import Passwords
from services.access.users import UserDetails
from services.factory import Services
from storage.platform.database import Database
from tests.api.conftest import Connect
from tests.kits.browsers import (
    COOKIE,
    EMAIL,
    PASSWORD,
    NewBrowser,
    is_signed_in,
    sign_in,
    values,
    with_rules,
)


async def test_sign_in_sets_a_secure_cookie(browser: httpx.AsyncClient, kim: Any) -> None:
    answer = await sign_in(browser, email="KIM@clinic.example")

    assert answer.status_code == 200
    kept = {"__Host-segue_session": "604800", "__Host-segue_device": "31536000"}
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == list(kept)
    for cookie, seconds in zip(cookies, kept.values(), strict=True):
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert attributes == {
            *("httponly", "secure", "samesite=lax", "path=/", f"max-age={seconds}")
        }
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["user"]["email"] == EMAIL
    assert answer.json()["role"] == "member"
    assert answer.json()["scopes"] == ["read", "write", "send", "admin"]
    assert browser.cookies[COOKIE] not in answer.text


async def test_session_has_its_users_role(browser: httpx.AsyncClient, kim: Any) -> None:
    await sign_in(browser)

    assert (await browser.get("/api/me")).json()["email"] == EMAIL
    assert (await browser.get("/api/session")).json()["user"]["email"] == EMAIL
    assert (await browser.post("/api/groups", json={"name": "Callers"})).status_code == 201
    assert (await browser.get("/api/users")).status_code == 403


async def test_only_a_hash_of_the_token_is_kept(
    browser: httpx.AsyncClient, kim: Any, database: Database
) -> None:
    await sign_in(browser)

    token = browser.cookies[COOKIE].partition(".")[0]
    [stored] = await values(database, "SELECT token_hash FROM sessions")
    assert len(stored) == 64
    assert token not in stored


async def test_cookie_is_the_token_and_its_hmac(
    browser: httpx.AsyncClient, kim: Any, services: Services
) -> None:
    """The format is fixed: a deploy signs no user out."""
    await sign_in(browser)

    token, _, signature = browser.cookies[COOKIE].partition(".")
    key = services.sessions._rules.secret.encode()
    expected = hmac.digest(key, f"session:{token}".encode(), hashlib.sha256)
    assert signature == base64.urlsafe_b64encode(expected).decode().rstrip("=")


@pytest.mark.parametrize("change", [lambda c: c[:-1] + ("A" if c[-1] != "A" else "B")])
async def test_cookie_with_a_bad_signature_is_refused(
    browser: httpx.AsyncClient, kim: Any, services: Services, change: Callable[[str], str]
) -> None:
    await sign_in(browser)
    cookie = browser.cookies[COOKIE]
    token, _, signature = cookie.partition(".")
    forged = [
        token,
        f"{token}.",
        f"{token}.{'A' * 43}",
        change(token) + "." + signature,
        "x" * 10_000,
        "é" * 87,
    ]
    browser.cookies.clear()

    for one in forged:
        headers = {b"Cookie": f"{COOKIE}={one}".encode()}
        assert (await browser.get("/api/me", headers=headers)).status_code == 401, one

    with_rules(services)  # another secret
    headers = {b"Cookie": f"{COOKIE}={cookie}".encode()}
    assert (await browser.get("/api/me", headers=headers)).status_code == 401


async def test_every_refused_sign_in_gets_the_same_answer(
    browser: httpx.AsyncClient, kim: UserDetails, services: Services
) -> None:
    await services.users.create(email="token@clinic.example", role=Role.MEMBER)
    gone = await services.users.create(
        email="gone@clinic.example", role=Role.MEMBER, password=PASSWORD
    )
    await services.users.change(gone.id, {"disabled": True})

    answers = [
        await sign_in(browser, password="wrong horse battery"),
        await sign_in(browser, password=""),
        await sign_in(browser, email="nobody@clinic.example"),
        await sign_in(browser, email="token@clinic.example"),
        await sign_in(browser, email="gone@clinic.example"),
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.text for answer in answers}) == 1
    assert answers[0].json()["code"] == "sign_in_refused"
    assert all("set-cookie" not in answer.headers for answer in answers)


async def test_unknown_address_costs_a_hash_too(
    browser: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[str] = []
    verify = Passwords._verify

    def noted(self: Passwords, hashed: str, password: str) -> bool:
        checked.append(hashed)
        return verify(self, hashed, password)

    monkeypatch.setattr(Passwords, "_verify", noted)

    assert (await sign_in(browser, email="nobody@clinic.example")).status_code == 401

    [hashed] = checked
    stored = await Passwords().hash(PASSWORD, personal=())
    assert hashed.split("$")[1:4] == stored.split("$")[1:4]  # algorithm, version, parameters


async def test_signing_out_ends_the_session(
    browser: httpx.AsyncClient, new_browser: NewBrowser, kim: Any
) -> None:
    other = await new_browser()
    await sign_in(browser)
    await sign_in(other)
    cookie = browser.cookies[COOKIE]

    assert (await browser.delete("/api/session")).status_code == 204

    assert COOKIE not in browser.cookies
    headers = {"Cookie": f"{COOKIE}={cookie}"}
    assert (await browser.get("/api/me", headers=headers)).status_code == 401
    assert await is_signed_in(other)


async def test_a_token_cannot_sign_out(member: httpx.AsyncClient) -> None:
    answer = await member.delete("/api/session")

    assert answer.status_code == 409
    assert answer.json()["code"] == "no_session"
    assert (await member.get("/api/session")).json()["user"]["email"] == "member@example.com"


async def test_viewer_can_sign_out(
    browser: httpx.AsyncClient, kim: UserDetails, services: Services
) -> None:
    await services.users.change(kim.id, {"role": Role.VIEWER})
    await sign_in(browser)

    assert (await browser.delete("/api/session")).status_code == 204


async def test_an_idle_session_ends(
    browser: httpx.AsyncClient, kim: Any, database: Database
) -> None:
    await sign_in(browser)
    await _age(database, "last_seen_at", timedelta(hours=7, minutes=59))
    assert await is_signed_in(browser)  # and was used now
    await _age(database, "last_seen_at", timedelta(hours=7, minutes=59))
    assert await is_signed_in(browser)

    await _age(database, "last_seen_at", timedelta(hours=8, seconds=1))

    assert not await is_signed_in(browser)


async def test_background_requests_of_a_page_do_not_extend_a_session(
    browser: httpx.AsyncClient, kim: Any, database: Database
) -> None:
    await sign_in(browser)
    await _age(database, "last_seen_at", timedelta(hours=7, minutes=59))

    polled = await browser.get("/api/session", headers={"Segue-Poll": "1"})
    await _age(database, "last_seen_at", timedelta(minutes=2))

    assert polled.status_code == 200
    assert not await is_signed_in(browser)


async def test_session_in_use_ends_at_its_maximum_age(
    browser: httpx.AsyncClient, kim: Any, database: Database
) -> None:
    await sign_in(browser)
    await _age(database, "expires_at", timedelta(days=7, seconds=1))

    assert not await is_signed_in(browser)


async def _age(database: Database, column: str, by: timedelta) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(f"UPDATE sessions SET {column} = {column} - :by"), {"by": by})  # noqa: S608


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"disabled": True}])
async def test_a_changed_user_is_signed_out_everywhere(
    browser: httpx.AsyncClient,
    new_browser: NewBrowser,
    admin: httpx.AsyncClient,
    kim: UserDetails,
    change: dict[str, Any],
) -> None:
    other = await new_browser()
    await sign_in(browser)
    await sign_in(other)

    answer = await admin.patch(f"/api/users/{kim.id}", json=change)

    assert answer.status_code == 200, answer.text
    assert not await is_signed_in(browser)
    assert not await is_signed_in(other)


async def test_changed_name_keeps_sessions(
    browser: httpx.AsyncClient, admin: httpx.AsyncClient, kim: UserDetails
) -> None:
    await sign_in(browser)

    await admin.patch(f"/api/users/{kim.id}", json={"name": "Kim", "role": "member"})

    assert await is_signed_in(browser)


async def test_changed_password_ends_all_sessions_of_its_user(
    browser: httpx.AsyncClient, new_browser: NewBrowser, kim: UserDetails
) -> None:
    other = await new_browser()
    await sign_in(browser)
    await sign_in(other)
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}

    assert (await browser.put("/api/me/password", json=body)).status_code == 204

    assert not await is_signed_in(browser)
    assert not await is_signed_in(other)
    assert (await sign_in(browser)).status_code == 401
    assert (await sign_in(browser, password="another horse battery")).status_code == 200


async def test_password_change_needs_the_old_password(
    browser: httpx.AsyncClient, kim: UserDetails, services: Services
) -> None:
    with_rules(services, sign_ins_per_email=3)
    await sign_in(browser)
    body = {"current_password": "wrong horse battery", "new_password": "another horse battery"}

    answers = [await browser.put("/api/me/password", json=body) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert answers[0].json()["code"] == "wrong_password"
    assert await is_signed_in(browser)


async def test_weak_new_password_costs_no_more_hashing_than_others(
    browser: httpx.AsyncClient, kim: UserDetails, services: Services
) -> None:
    """A hash costs up to a second of CPU time, and four at once delay sign-ins."""
    with_rules(services, sign_ins_per_email=3)
    await sign_in(browser)
    body = {"current_password": PASSWORD, "new_password": "passwordpassword"}

    answers = [await browser.put("/api/me/password", json=body) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [422, 422, 422, 429]
    assert answers[0].json()["code"] == "invalid_password"


async def test_password_changed_during_a_sign_in_starts_no_session(
    browser: httpx.AsyncClient,
    kim: UserDetails,
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    matches = Passwords.matches

    async def slow(self: Passwords, hashed: str | None, password: str) -> bool:
        right = await matches(self, hashed, password)
        await services.set_up_links.replace_password(kim.id)
        return right

    monkeypatch.setattr(Passwords, "matches", slow)

    assert (await sign_in(browser)).status_code == 401


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://segue.test"}, False),
        ({"Origin": "https://segue.test"}, True),
        ({"Origin": "https://other.test", "Host": "other.test"}, True),  # another name of ours
        ({"Origin": "https://evil.test"}, False),
        ({"Origin": "https://segue.test.evil.test"}, False),
        ({"Origin": "https://segue.test:8443"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({}, False),
    ],
)
async def test_session_can_change_things_only_from_our_pages(
    browser: httpx.AsyncClient, kim: Any, headers: dict[str, str], *, allowed: bool
) -> None:
    await sign_in(browser)
    cookie = browser.cookies[COOKIE]
    browser.cookies.clear()
    del browser.headers["Origin"]
    sent = {"Cookie": f"{COOKIE}={cookie}", **headers}

    answer = await browser.post("/api/groups", json={"name": "Callers"}, headers=sent)
    read = await browser.get("/api/groups", headers=sent)

    assert answer.status_code == (201 if allowed else 403)
    assert allowed or answer.json()["code"] == "cross_site"
    assert len(read.json()["items"]) == allowed  # SameSite=Lax covers requests that only read


async def test_a_token_needs_no_origin(
    member: httpx.AsyncClient, browser: httpx.AsyncClient, kim: Any
) -> None:
    await sign_in(browser)
    sent = {
        "Cookie": f"{COOKIE}={browser.cookies[COOKIE]}",
        "Origin": "https://elsewhere.test",
    }

    answer = await member.post("/api/groups", json={"name": "Callers"}, headers=sent)

    assert answer.status_code == 201


async def test_cross_site_sign_in_is_refused(browser: httpx.AsyncClient, kim: Any) -> None:
    browser.headers["Origin"] = "https://evil.test"

    answer = await sign_in(browser)

    assert answer.status_code == 403
    assert answer.json()["code"] == "cross_site"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"email": EMAIL},
        {"email": "kim", "password": PASSWORD},
        {"email": f"{EMAIL}\x00", "password": PASSWORD},
        {"email": EMAIL, "password": "x" * 3_000},
        {"email": EMAIL, "password": PASSWORD, "remember": True},
    ],
)
async def test_malformed_sign_in_is_refused(
    browser: httpx.AsyncClient, kim: Any, body: dict[str, Any]
) -> None:
    answer = await browser.post("/api/session", json=body)

    assert answer.status_code == 422
    assert PASSWORD not in answer.text


async def test_secrets_are_in_no_log_answer_or_entry(
    browser: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    kim: UserDetails,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong, new = "a wrong horse battery", "another horse battery"
    answers = [
        await sign_in(browser, password=wrong),
        await sign_in(browser, email="secret-person@clinic.example"),
        await sign_in(browser),
    ]
    cookie = browser.cookies[COOKIE]
    own = await browser.post(
        "/api/me/tokens", json={"name": "mine", "scopes": ["read"], "password": PASSWORD}
    )
    made = await admin.post(f"/api/users/{kim.id}/tokens", json={"name": "ci"})
    answers += [
        await browser.get("/api/me/tokens"),
        await browser.get("/api/session"),
        await admin.get(f"/api/users/{kim.id}/tokens"),
        await browser.put(
            "/api/me/password", json={"current_password": PASSWORD, "new_password": new}
        ),
    ]
    url = (await admin.post(f"/api/users/{kim.id}/set-up-links", json={})).json()["set_up_url"]
    opened = await browser.get(url)
    link = url.partition("=")[2]
    form = {"token": link, "password": PASSWORD, "repeated": PASSWORD}
    answers += [
        await browser.post("/set-up", data=form),
        await browser.get(url),
        await admin.get("/api/audit", params={"limit": 200}),
        await admin.get("/api/users"),
    ]
    tokens = [own.json()["token"], made.json()["token"]]
    secrets = [PASSWORD, wrong, new, link, *tokens, *cookie.split("."), "$argon2"]

    entries = await values(database, "SELECT audit_log::text FROM audit_log")
    kept = await values(
        database,
        "SELECT api_tokens::text FROM api_tokens UNION ALL SELECT sessions::text FROM sessions"
        " UNION ALL SELECT idempotency_keys::text FROM idempotency_keys"
        " UNION ALL SELECT set_up_links::text FROM set_up_links",
    )
    ours = [record for record in caplog.records if record.name != "httpx"]  # the tests' client
    logged = [str(vars(record)) + record.getMessage() for record in ours]
    seen = [answer.text for answer in answers] + entries + kept + logged
    assert logged
    assert opened.status_code == 200
    assert len(entries) >= 8
    assert [secret for secret in secrets if any(secret in one for one in seen)] == []
    assert not [one for one in entries + logged if "secret-person" in one]


async def test_ended_sessions_are_deleted(
    browser: httpx.AsyncClient, kim: Any, services: Services, database: Database
) -> None:
    await sign_in(browser)
    await _age(database, "expires_at", timedelta(days=10))
    await sign_in(browser)

    await services.sweep.sweep()

    assert await values(database, "SELECT count(*) FROM sessions") == [1]
    assert await is_signed_in(browser)


async def test_tokens_of_a_disabled_user_work_again_once_enabled(
    admin: httpx.AsyncClient, connect: Connect, kim: UserDetails, services: Services
) -> None:
    made = await services.tokens.create(kim.id, name="ci", scopes=TokenScope, expires_at=None)
    client = await connect(token=made.token)

    await admin.patch(f"/api/users/{kim.id}", json={"disabled": True})
    assert (await client.get("/api/me")).status_code == 401
    await admin.patch(f"/api/users/{kim.id}", json={"disabled": False})
    assert (await client.get("/api/me")).status_code == 200


async def test_user_creates_lists_and_revokes_their_tokens(
    browser: httpx.AsyncClient, connect: Connect, kim: UserDetails
) -> None:
    await sign_in(browser)
    for name in ("first", "second"):
        body = {"name": name, "scopes": ["read"], "password": PASSWORD}
        made = await browser.post("/api/me/tokens", json=body)
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
    client = await connect(token=made.json()["token"])
    assert (await client.get("/api/me")).json()["id"] == str(kim.id)

    first = (await browser.get("/api/me/tokens", params={"limit": 1})).json()
    rest = (await browser.get("/api/me/tokens", params={"cursor": first["next_cursor"]})).json()
    assert [token["name"] for token in first["items"] + rest["items"]] == ["second", "first"]
    assert rest["next_cursor"] is None

    assert (await browser.delete(f"/api/me/tokens/{made.json()['id']}")).status_code == 204
    assert (await client.get("/api/me")).status_code == 401
    unknown = await browser.delete(f"/api/me/tokens/{UUID(int=1)}")
    assert unknown.status_code == 404
