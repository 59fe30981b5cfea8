"""A browser with signed-in users, on a whole stack."""

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Response, expect

from api.dependencies import SESSION_COOKIE
from domain.statuses.access import Role
from standalone.postgres import EmbeddedPostgres
from standalone.temporal import TemporalServer
from tests.browser.chromium import DESKTOP, PHONE, chromium
from tests.browser.life import Life, bring_to_life
from tests.e2e.desks import add_log_tails, open_desk
from tests.e2e.people import Desk
from tests.e2e.stack import EMAIL, PASSWORD

PATIENCE_MS = 15_000

expect.set_options(timeout=PATIENCE_MS)

Visit = Callable[..., Awaitable[Page]]
"""Opens a page as a signed-in user of a role; None for nobody."""


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makemodule() -> Generator[None, pytest.Module, pytest.Module]:
    """Mark the modules of this folder to share one event loop, as they share a browser.

    Marked later, each test would still start a loop of its own: pytest-asyncio chooses the loop's
    factory, by the scope of that time, when tests are generated.
    """
    module = yield
    module.add_marker(pytest.mark.asyncio(loop_scope="session"))
    return module


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the ends of the programs' logs with a test that failed."""
    report = yield
    desk = getattr(item, "funcargs", {}).get("desk")
    if isinstance(desk, Desk):
        add_log_tails(report, desk)
    return report


@pytest.fixture(scope="package")
def desk(
    server_folder: Path,
    postgres_server: EmbeddedPostgres,
    database_template: str,
    temporal_server: TemporalServer,
) -> Iterator[Desk]:
    """Start a stack on the shared servers."""
    with open_desk(server_folder, postgres_server, database_template, temporal_server) as desk:
        yield desk


@pytest.fixture(scope="package")
def life(desk: Desk) -> Life:
    """Create a sequence with enrollments of every status, which tests only look at."""
    stack = desk.stack
    return bring_to_life(stack.api_url, stack.simulator_url, stack.admin_token)


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


class Accounts:
    """Create users who can sign in, one of each role."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._cookies: dict[Role, str] = {}

    def make(self, role: Role, email: str) -> None:
        """Add a user with the password of all test users."""
        body = {"email": email, "name": f"Kim {role.value}", "role": role}
        link = self._desk.post("/api/users", body, status=201)["set_up_url"]
        form = {"token": link.partition("token=")[2], "password": PASSWORD, "repeated": PASSWORD}
        answer = httpx.post(f"{self._desk.stack.api_url}/set-up", data=form)
        assert answer.headers["location"] == "/sign-in", answer.text

    def cookie(self, role: Role) -> str:
        """Return the session of a user of a role."""
        if role not in self._cookies:
            email = EMAIL if role is Role.ADMIN else f"{role.value}@example.com"
            if role is not Role.ADMIN:
                self.make(role, email)
            answer = httpx.post(
                f"{self._desk.stack.api_url}/api/session",
                json={"email": email, "password": PASSWORD},
            )
            self._cookies[role] = answer.cookies[SESSION_COOKIE]
        return self._cookies[role]


@pytest.fixture(scope="package")
def accounts(desk: Desk) -> Accounts:
    return Accounts(desk)


class Browsing:
    """Opens pages as signed-in users, and notes what goes wrong in them.

    Attributes:
        trouble: Errors of the pages' consoles, and answers that failed.
    """

    def __init__(self, browser: Browser, url: str, accounts: Accounts) -> None:
        self._browser, self._url, self._accounts = browser, url, accounts
        self._contexts = AsyncExitStack()
        self.trouble: list[str] = []

    async def open(
        self, role: Role | None = Role.ADMIN, *, path: str = "/", phone: bool = False
    ) -> Page:
        """Open a page in a browser of its own."""
        context = await self._browser.new_context(
            base_url=self._url,
            viewport=PHONE if phone else DESKTOP,
            reduced_motion="reduce",
        )
        self._contexts.push_async_callback(context.close)
        context.set_default_timeout(PATIENCE_MS)
        if role is not None:
            cookie = self._accounts.cookie(role)
            await context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": self._url}])
        page = await context.new_page()
        page.on("console", lambda message: self.trouble.extend(_errors(message)))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("response", lambda response: self.trouble.extend(_failed(response)))
        await page.goto(path)
        return page

    async def close(self) -> None:
        """Close the pages."""
        await self._contexts.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def visit(desk: Desk, browser: Browser, accounts: Accounts) -> AsyncIterator[Visit]:
    """Return a function that opens pages; an error in a page's console fails the test."""
    browsing = Browsing(browser, desk.stack.api_url, accounts)
    yield browsing.open
    await browsing.close()
    assert browsing.trouble == []


def _errors(message: ConsoleMessage) -> list[str]:
    """List the errors of a console, except answers with 404 or 422, which the test checks."""
    # Leaving a page while htmx waits for an answer is no error.
    left = ("htmx:afterRequest", "htmx:sendError", "htmx:sendAbort")
    if message.type not in {"error", "warning"} or message.text.startswith(
        ("Failed to load", *left)
    ):
        return []
    return [f"{message.type}: {message.text}"]


def _failed(response: Response) -> list[str]:
    is_asset = "/static/" in response.url
    if response.status >= 500 or (is_asset and response.status >= 400):
        return [f"{response.status}: {response.url}"]
    return []
