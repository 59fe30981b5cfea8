"""The API in this process on a real database, with fakes of Temporal and the provider."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from api.app import create_app
from api.pages import rendering
from domain.messaging.ports import (
    Accepted,
    Attachment,
    Gateway,
    ListedMessage,
    ProviderUnavailableError,
    SendRequest,
    SendResult,
)
from domain.platform.rules import SendingRules
from domain.statuses.access import Role, TokenScope
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MessageStatus
from services.access.users import UserDetails
from services.factory import ServiceConfig, Services
from settings import ApiSettings
from storage.platform.database import Database
from tests.api.a_little_of_everything import Little, found
from tests.kits.browsers import EMAIL, HERE, PASSWORD, NewBrowser
from tests.kits.fork_server import QUICK_TEMPLATES
from workflows.client import EnrollmentClient, LiveState


class FakeTemporal:
    """Accepts every call and records it; nothing runs."""

    def __init__(self) -> None:
        self.is_ready = True
        self.live: dict[UUID, LiveState] = {}
        self.started: list[UUID] = []
        self.signalled: list[tuple[UUID, str, str | None]] = []
        self.paced: dict[UUID, float] = {}

    async def ready(self) -> bool:
        return self.is_ready

    async def worker_polls(self) -> bool:
        return self.is_ready

    async def start_enrollment(self, new: Any) -> None:
        self.started.append(new.enrollment_id)

    async def start_message(self, message_id: UUID, sender_id: UUID | None) -> None:
        self.started.append(message_id)

    async def start_job(self, job_id: UUID) -> None:
        self.started.append(job_id)

    async def signal_enrollment(self, enrollment_id: UUID, signal: str, status: str | None) -> None:
        self.signalled.append((enrollment_id, signal, status))

    async def pace_senders(self, texts_per_second: Mapping[UUID, float]) -> None:
        self.paced.update(texts_per_second)

    async def wake_events(self, endpoint_id: UUID) -> None:
        self.started.append(endpoint_id)

    async def is_open(self, enrollment_id: UUID) -> bool:
        return enrollment_id in self.started

    async def progress(
        self, enrollment_ids: list[UUID], *, deadline: timedelta
    ) -> Mapping[UUID, LiveState]:
        unknown = LiveState(unavailable="not_running")
        return {asked: self.live.get(asked, unknown) for asked in enrollment_ids}


class FakeGateway:
    """Accepts every text and lists none; without ``files`` it is away."""

    def __init__(self) -> None:
        self.calls: list[SendRequest] = []
        self.files: Mapping[str, Attachment] | None = {}

    async def create(self, call: SendRequest) -> SendResult:
        self.calls.append(call)
        return Accepted(f"SM{call.attempt_id.hex}", MessageStatus.QUEUED)

    async def list_outbound(self, to: str, since: datetime) -> list[ListedMessage]:
        return []

    async def line_type(self, phone: str) -> LineType:
        return LineType.MOBILE

    async def attachment(self, url: str) -> Attachment | None:
        if self.files is None:
            raise ProviderUnavailableError
        return self.files.get(url)


@pytest.fixture(autouse=True)
def _long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the first wait after wrong tries so long that it outlasts a test."""
    monkeypatch.setattr("domain.access.limits._FIRST_WAIT", timedelta(seconds=25))


@pytest.fixture(scope="session")
def _read_settings(shared_database: str) -> ApiSettings:
    """Read the settings once: that takes longer than most requests."""
    return make_settings(shared_database.replace("postgresql://", "postgresql+psycopg://", 1))


@pytest.fixture
def settings(database_url: str, _read_settings: ApiSettings) -> ApiSettings:
    assert _read_settings.database_url == database_url
    return _read_settings.model_copy()


def make_settings(database_url: str) -> ApiSettings:
    return ApiSettings(
        database_url=database_url,
        twilio_account_sid="AC" + "0" * 32,
        twilio_auth_token=SecretStr("an auth token of tests"),
        public_base_url="https://segue.test",
        session_secret=SecretStr("known to everybody, so of tests alone"),
        allowed_hosts="other.test",
    )


@pytest.fixture
def temporal() -> FakeTemporal:
    return FakeTemporal()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
def services(database: Database, temporal: FakeTemporal, gateway: FakeGateway) -> Services:
    return make_services(database, temporal, gateway)


def make_services(
    database: Database, temporal: FakeTemporal | None = None, gateway: FakeGateway | None = None
) -> Services:
    return Services(
        database,
        cast("EnrollmentClient", temporal or FakeTemporal()),
        cast("Gateway", gateway or FakeGateway()),
        ServiceConfig(SendingRules(), public_base_url="https://segue.test"),
    )


async def whole_token(services: Services, user_id: UUID) -> str:
    """Create a token with every scope that never expires."""
    made = await services.tokens.create(user_id, name="test", scopes=TokenScope, expires_at=None)
    return made.token


@pytest.fixture(scope="session")
def little(shared_database: str, empty: Callable[[], None]) -> Iterator[Little]:
    """One of each resource: creating them takes a quarter of a second, a copy a tenth of that."""

    async def make() -> dict[str, str]:
        database = Database(shared_database.replace("postgresql://", "postgresql+psycopg://", 1))
        try:
            return await found(make_services(database))
        finally:
            await database.close()

    ids = asyncio.run(make())
    with psycopg.connect(shared_database, autocommit=True) as connection:
        made = Little.kept(ids, connection)
        empty()
        yield made


@pytest.fixture
def there(little: Little, database_url: str) -> dict[str, str]:
    """One of each resource in the database: their ids by those that examples give."""
    little.put()
    return dict(little.ids)


@pytest.fixture(scope="session", autouse=True)
def _quick_templates() -> Iterator[None]:
    """Compile no template again that another process has compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rendering, "Environment", QUICK_TEMPLATES)
        yield


@pytest.fixture(scope="session")
def shared_app(shared_database: str) -> FastAPI:
    """One application for all tests: its first request builds the routes, which is slow."""
    return create_app(make_settings(shared_database))


@pytest.fixture
def app(shared_app: FastAPI, settings: ApiSettings, services: Services) -> FastAPI:
    shared_app.state.settings = settings
    shared_app.state.services = services
    return shared_app


Connect = Callable[..., Awaitable[httpx.AsyncClient]]
"""Opens a client; with a role, as a new user of that role."""


@pytest.fixture
async def connect(app: FastAPI, services: Services) -> AsyncIterator[Connect]:
    async with AsyncExitStack() as clients:

        async def open_client(role: Role | None = None, *, token: str = "") -> httpx.AsyncClient:
            if role is not None:
                email = f"{role.value}@example.com"
                user = await services.users.by_email(email) or await services.users.create(
                    email=email, role=role
                )
                token = await whole_token(services, user.id)
            # An unexpected error is answered as in production instead of raised into the test.
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            client = httpx.AsyncClient(transport=transport, base_url="http://segue.test")
            if token:
                client.headers["Authorization"] = f"Bearer {token}"
            return await clients.enter_async_context(client)

        yield open_client


@pytest.fixture
async def admin(connect: Connect) -> httpx.AsyncClient:
    return await connect(Role.ADMIN)


@pytest.fixture
async def member(connect: Connect) -> httpx.AsyncClient:
    return await connect(Role.MEMBER)


@pytest.fixture
async def viewer(connect: Connect) -> httpx.AsyncClient:
    return await connect(Role.VIEWER)


@pytest.fixture
async def anonymous(connect: Connect) -> httpx.AsyncClient:
    return await connect()


@pytest.fixture
async def new_browser(app: FastAPI) -> AsyncIterator[NewBrowser]:
    """Opens a client that keeps cookies and says where its requests come from."""
    async with AsyncExitStack() as browsers:

        async def open_browser() -> httpx.AsyncClient:
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            browser = httpx.AsyncClient(
                transport=transport, base_url="https://segue.test", headers=HERE
            )
            return await browsers.enter_async_context(browser)

        yield open_browser


@pytest.fixture
async def browser(new_browser: NewBrowser) -> httpx.AsyncClient:
    return await new_browser()


@pytest.fixture
async def kim(services: Services) -> UserDetails:
    return await services.users.create(email=EMAIL, role=Role.MEMBER, password=PASSWORD)
