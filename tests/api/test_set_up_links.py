"""One-time links that set a password."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from domain.access.limits import AccessRules
from services.access.passwords import Passwords
from services.access.set_up_links import SetUpLinks
from services.factory import Services
from storage.platform.database import Database

PASSWORD = "correct horse battery"
KIM = {"email": "kim@clinic.example", "name": "Kimberley", "role": "member"}


async def invite(admin: httpx.AsyncClient) -> dict[str, Any]:
    answer = await admin.post("/api/users", json=KIM)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def another(admin: httpx.AsyncClient, user: dict[str, Any]) -> str:
    answer = await admin.post(f"/api/users/{user['id']}/set-up-links", json={})
    assert answer.status_code == 201, answer.text
    url: str = answer.json()["set_up_url"]
    return url


async def use(
    browser: httpx.AsyncClient, url: str, password: str = PASSWORD, **fields: str
) -> httpx.Response:
    token = url.partition("token=")[2]
    form = {"token": token, "password": password, "repeated": password, **fields}
    return await browser.post("/set-up", data=form)


async def signs_in(browser: httpx.AsyncClient, password: str = PASSWORD) -> bool:
    body = {"email": KIM["email"], "password": password}
    return (await browser.post("/api/session", json=body)).status_code == 200


async def run(database: Database, statement: str) -> None:
    async with database.transaction() as tx:
        await tx.execute(text(statement))


async def test_link_sets_the_password_once(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    made = await invite(admin)
    url = made["set_up_url"]
    assert url.startswith("https://segue.test/set-up?token=")
    lifetime = datetime.fromisoformat(made["set_up_expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=71) < lifetime <= timedelta(hours=72)

    set_now = await use(anonymous, url)

    assert (set_now.status_code, set_now.headers["location"]) == (303, "/sign-in")
    assert await signs_in(anonymous)
    again = await use(anonymous, url, "another horse battery")
    assert again.status_code == 404
    assert "doesn't work" in again.text
    assert await signs_in(anonymous)


async def test_viewing_a_link_does_not_use_it_or_reveal_its_user(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, database: Database
) -> None:
    made = await invite(admin)

    shown = [await anonymous.get(made["set_up_url"]) for _ in range(3)]

    assert {one.status_code for one in shown} == {200}
    assert KIM["email"] in shown[0].text
    assert shown[0].headers["referrer-policy"] == "no-referrer"
    assert shown[0].headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in shown[0].headers["content-security-policy"]
    assert (await use(anonymous, made["set_up_url"])).status_code == 303


async def test_only_a_hash_of_a_link_is_stored(
    admin: httpx.AsyncClient, database: Database
) -> None:
    token = (await invite(admin))["set_up_url"].partition("token=")[2]

    async with database.transaction() as tx:
        kept = (await tx.execute(text("SELECT token_hash FROM set_up_links"))).scalar_one()

    assert len(kept) == 64
    assert token not in kept


async def test_only_the_newest_link_works(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    made = await invite(admin)
    second = await another(admin, made)

    assert (await anonymous.get(made["set_up_url"])).status_code == 404
    assert (await use(anonymous, made["set_up_url"])).status_code == 404
    assert (await use(anonymous, second)).status_code == 303


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE set_up_links SET expires_at = now() - interval '1 s'",
        "UPDATE users SET disabled_at = now() WHERE email LIKE 'kim@%'",
    ],
)
async def test_link_expires_with_time_or_its_user(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, database: Database, statement: str
) -> None:
    url = (await invite(admin))["set_up_url"]
    await run(database, statement)

    assert (await anonymous.get(url)).status_code == 404
    assert (await use(anonymous, url)).status_code == 404
    assert not await signs_in(anonymous)


async def test_enabling_a_user_revives_no_link(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    made = await invite(admin)
    for disabled in (True, False):
        await admin.patch(f"/api/users/{made['id']}", json={"disabled": disabled})

    assert (await use(anonymous, made["set_up_url"])).status_code == 404


async def test_disabled_or_unknown_user_gets_no_link(admin: httpx.AsyncClient) -> None:
    made = await invite(admin)
    await admin.patch(f"/api/users/{made['id']}", json={"disabled": True})

    refused = await admin.post(f"/api/users/{made['id']}/set-up-links", json={})
    unknown = await admin.post(f"/api/users/{made['id'][:-4]}0000/set-up-links", json={})

    assert (refused.status_code, refused.json()["code"]) == (409, "user_disabled")
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"password": "short", "repeated": "short"}, "must have 12 to 1024 characters"),
        (
            {"password": "kimberley.clinic", "repeated": "kimberley.clinic"},
            "is too close to the user",
        ),
        ({"repeated": "another horse battery"}, "does not match the password"),
    ],
)
async def test_refused_password_keeps_the_link(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, fields: dict[str, str], says: str
) -> None:
    url = (await invite(admin))["set_up_url"]

    refused = await use(anonymous, url, **fields)

    assert refused.status_code == 422
    assert says in refused.text
    assert fields["repeated"] not in refused.text
    assert refused.headers["referrer-policy"] == "no-referrer"
    assert (await use(anonymous, url)).status_code == 303


async def test_only_one_of_two_concurrent_uses_sets_the_password(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, services: Services
) -> None:
    url = (await invite(admin))["set_up_url"]
    passwords = (PASSWORD, "another horse battery")

    answers = await asyncio.gather(*(use(anonymous, url, one) for one in passwords))

    assert sorted(answer.status_code for answer in answers) == [303, 404]
    held = passwords[[answer.status_code for answer in answers].index(303)]
    assert [await signs_in(anonymous, one) for one in passwords] == [
        one == held for one in passwords
    ]


async def test_link_replaced_during_hashing_sets_no_password(
    admin: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = await invite(admin)
    hashing = Passwords.hash
    second: list[str] = []

    async def slow(self: Passwords, password: str, **others: Any) -> str:
        if not second:
            second.append(await another(admin, made))
        return await hashing(self, password, **others)

    monkeypatch.setattr(Passwords, "hash", slow)

    assert (await use(anonymous, made["set_up_url"])).status_code == 404
    assert not await signs_in(anonymous)
    assert (await use(anonymous, second[0])).status_code == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),  # a page without a referrer
        ({"Origin": "null"}, 303),  # the same, from browsers that send fewer headers
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
async def test_cross_site_request_sets_no_password(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    url = (await invite(admin))["set_up_url"]
    anonymous.headers.update(headers)

    assert (await use(anonymous, url)).status_code == status


async def test_link_guesses_are_delayed_and_valid_links_still_work(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, services: Services, database: Database
) -> None:
    rules = AccessRules(sign_ins_per_address=3)
    services.set_up_links = SetUpLinks(database, rules, Passwords())
    url = (await invite(admin))["set_up_url"]

    guesses = [await anonymous.get("/set-up", params={"token": f"x{n}"}) for n in range(3)]
    guesses += [await use(anonymous, "token=guess"), await anonymous.get("/set-up")]

    assert [answer.status_code for answer in guesses] == [404, 404, 404, 429, 429]
    assert "try again in" in guesses[-1].text
    noted = (await admin.get("/api/audit", params={"action": "link.refuse"})).json()["items"]
    assert [(one["user"], one["address"]) for one in noted] == [(None, "127.0.0.1")] * 5
    assert "guess" not in str(noted)
    assert (await anonymous.get(url)).status_code == 200
    assert (await use(anonymous, url)).status_code == 303


@pytest.mark.parametrize("token", ["", "x" * 10_000, "\x00", "é", "' OR 1=1 --"])
async def test_malformed_token_is_answered_like_an_unknown_one(
    anonymous: httpx.AsyncClient, token: str
) -> None:
    form = {"token": token, "password": PASSWORD, "repeated": PASSWORD}

    answer = await anonymous.post("/set-up", data=form)

    assert answer.status_code == 404
    assert "doesn't work" in answer.text


@pytest.mark.parametrize("kept", ["true", ""])
async def test_the_link_offers_to_revoke_tokens(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient, kept: str
) -> None:
    made = await invite(admin)
    assert 'name="revoke_tokens"' not in (await anonymous.get(made["set_up_url"])).text
    await admin.post(f"/api/users/{made['id']}/tokens", json={"name": "ci"})
    ticked = (await anonymous.get(made["set_up_url"])).text
    assert 'name="revoke_tokens" value="true" checked' in ticked

    await use(anonymous, made["set_up_url"], **({"revoke_tokens": kept} if kept else {}))

    left = (await admin.get(f"/api/users/{made['id']}/tokens")).json()["items"]
    assert len(left) == (0 if kept else 1)


async def test_repeated_request_does_not_show_the_link_again(admin: httpx.AsyncClient) -> None:
    headers = {"Idempotency-Key": "invite kim"}

    first = await admin.post("/api/users", json=KIM, headers=headers)
    again = await admin.post("/api/users", json=KIM, headers=headers)

    assert first.json()["set_up_url"]
    assert again.json() == {**first.json(), "set_up_url": None}


async def test_links_are_audited_without_their_token(
    admin: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    made = await invite(admin)
    await use(anonymous, made["set_up_url"])

    entries = (await admin.get("/api/audit", params={"subject_id": made["id"]})).json()["items"]

    assert [(one["action"], one["user"]["name"]) for one in entries] == [
        ("user.set_password", "Kimberley"),
        ("user.make_link", "admin"),
        ("user.create", "admin"),
    ]
    assert made["set_up_url"].partition("token=")[2] not in str(entries)
