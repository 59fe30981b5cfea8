"""Requests to the pages as a browser makes them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
from fastapi import FastAPI

from api.dependencies import SESSION_COOKIE
from domain.statuses.access import Role
from services.factory import Services
from tests.api.a_little_of_everything import PASSWORD

ORIGIN = "https://segue.test"
HTMX = {"HX-Request": "true"}

Browse = Callable[..., Awaitable[httpx.AsyncClient]]
"""Opens a browser; with a role, signed in as a new user of that role."""


@pytest.fixture
async def browse(app: FastAPI, services: Services) -> AsyncIterator[Browse]:
    async with AsyncExitStack() as clients:

        async def open_browser(role: Role | None = Role.MEMBER) -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(
                transport=transport,
                base_url=ORIGIN,
                headers={"Accept": "text/html", "Sec-Fetch-Site": "same-origin"},
            )
            if role is not None:
                email = f"{role.value}@example.com"
                if await services.users.by_email(email) is None:
                    await services.users.create(email=email, role=role, password=PASSWORD)
                signed_in = await services.sessions.sign_in(email, PASSWORD, address=None)
                client.cookies.set(
                    f"__Host-{SESSION_COOKIE}", signed_in.cookie, domain="segue.test"
                )
            return await clients.enter_async_context(client)

        yield open_browser
