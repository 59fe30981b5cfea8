"""Signing in over HTTP: delays after wrong tries, and the cookies' names."""

from typing import Any

import httpx
from fastapi import FastAPI

from api.app import create_app
from services.factory import Services
from settings import ApiSettings
from storage.platform.database import Database
from tests.kits.browsers import COOKIE, EMAIL, NewBrowser, is_signed_in, sign_in, values, with_rules


async def test_next_try_after_wrong_ones_waits_right_or_wrong(
    browser: httpx.AsyncClient, kim: Any, services: Services, database: Database
) -> None:
    with_rules(services, sign_ins_per_email=3)
    for _ in range(3):
        assert (await sign_in(browser, password="wrong horse battery")).status_code == 401

    right = await sign_in(browser, email="Kim@CLINIC.example")
    other = await sign_in(browser, email="lou@clinic.example")

    assert right.status_code == 429
    assert right.json()["code"] == "too_many_requests"
    assert 1 <= int(right.headers["retry-after"]) <= 30
    assert right.json()["detail"].startswith("too many failed attempts; try again in ")
    assert other.status_code == 401
    keys = await values(database, "SELECT key FROM wrong_tries")
    assert keys
    assert not [key for key in keys if "clinic" in key]


async def test_next_try_from_an_address_with_wrong_ones_waits(
    browser: httpx.AsyncClient, kim: Any, services: Services
) -> None:
    with_rules(services, sign_ins_per_address=3)
    for number in range(3):
        answer = await sign_in(browser, email=f"guess{number}@clinic.example")
        assert answer.status_code == 401

    assert (await sign_in(browser)).status_code == 429


async def test_ipv6_network_counts_as_one_address(
    services: Services, app: FastAPI, kim: Any
) -> None:
    with_rules(services, sign_ins_per_address=2)

    async def attempt(address: str, email: str = EMAIL) -> int:
        transport = httpx.ASGITransport(app, client=(address, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="https://segue.test") as one:
            return (await sign_in(one, email=email)).status_code

    assert await attempt("2001:db8:1:2::1", "lou@clinic.example") == 401
    assert await attempt("2001:db8:1:ff:ffff::9", "max@clinic.example") == 401
    assert await attempt("2001:db8:1:77::77") == 429
    assert await attempt("2001:db8:1:100::1") == 200
    assert await attempt("198.51.100.7") == 200


async def test_known_browser_does_not_wait_for_others_wrong_tries(
    browser: httpx.AsyncClient, new_browser: NewBrowser, kim: Any, services: Services
) -> None:
    with_rules(services, secret="a secret of tests", sign_ins_per_email=2)
    await sign_in(browser)
    await browser.delete("/api/session")
    stranger = await new_browser()
    for _ in range(2):
        assert (await sign_in(stranger, password="wrong horse battery")).status_code == 401
    assert (await sign_in(stranger)).status_code == 429

    assert (await sign_in(browser)).status_code == 200
    assert await is_signed_in(browser)


async def test_cookies_over_plain_http_have_plain_names(
    settings: ApiSettings, services: Services, kim: Any
) -> None:
    """Browsers refuse a ``__Host-`` cookie without HTTPS."""
    here = "http://127.0.0.1:8000"
    app = create_app(settings.model_copy(update={"public_base_url": here}), services=services)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(
        transport=transport, base_url=here, headers={"Origin": here}
    ) as client:
        answer = await sign_in(client)
        assert set(answer.cookies) == {"segue_session", "segue_device"}
        written = answer.headers.get_list("set-cookie")
        assert not [one for one in written if "secure" in one.lower()]
        assert all("httponly" in one.lower() for one in written)
        assert await is_signed_in(client)
        assert (await client.delete("/api/session")).status_code == 204
        assert set(client.cookies) == {"segue_device"}


async def test_plain_named_cookie_is_ignored_over_https(
    browser: httpx.AsyncClient, kim: Any
) -> None:
    """Another host of the domain could have set it."""
    await sign_in(browser)
    headers = {"Cookie": f"segue_session={browser.cookies[COOKIE]}"}
    browser.cookies.clear()

    assert (await browser.get("/api/session", headers=headers)).status_code == 401
