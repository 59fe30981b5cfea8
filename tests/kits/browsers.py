"""Browsers that sign in as Kim, and the rules that slow them down."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from sqlalchemy import text

from domain.access.limits import AccessRules
from services.access.own_password import OwnPassword
from services.access.passwords import Passwords
from services.access.sessions import Sessions
from services.access.set_up_links import SetUpLinks
from services.factory import Services
from storage.platform.database import Database

PASSWORD = "correct horse battery"
EMAIL = "kim@clinic.example"
COOKIE = "__Host-segue_session"
HERE = {"Origin": "https://segue.test"}

NewBrowser = Callable[[], Awaitable[httpx.AsyncClient]]


async def sign_in(
    browser: httpx.AsyncClient, *, email: str = EMAIL, password: str = PASSWORD
) -> httpx.Response:
    """Try to sign in, as Kim by default."""
    return await browser.post("/api/session", json={"email": email, "password": password})


async def is_signed_in(browser: httpx.AsyncClient) -> bool:
    """Check whether a browser's session is valid."""
    return (await browser.get("/api/session")).status_code == 200


def with_rules(services: Services, **rules: Any) -> None:
    """Run the application under other access rules."""
    parts = (services.database, AccessRules(**rules), Passwords())
    services.sessions = Sessions(*parts)
    services.own_password = OwnPassword(*parts)
    services.set_up_links = SetUpLinks(*parts)


async def values(database: Database, query: str) -> list[Any]:
    """Read one column."""
    async with database.transaction() as tx:
        return list((await tx.execute(text(query))).scalars())
