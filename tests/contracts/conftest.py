"""Two providers that must behave alike: the fake, and the simulator over HTTP."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import uuid4

import pytest
import uvicorn

from domain.messaging.ports import Attachment, Gateway, ListedText, OutcomeUnknown, Refused
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MessageStatus
from simulator.app import create_app
from simulator.behavior import NextFaults
from simulator.habits import Habit
from simulator.inbound import InboundText
from simulator.messages import is_kept_here, kept_picture, media_type
from simulator.server import server_config
from simulator.state import Simulator, SimulatorConfig
from sms.deadline import TimeLimits
from sms.gateway import TwilioGateway
from tests.fakes import FakeGateway

ACCOUNT_SID = "AC" + "0" * 32
AUTH_TOKEN = "token"
OURS = "+12025550100"
THEIRS = "+14155550123"
CALLBACKS = "http://127.0.0.1:9/webhooks/twilio/status"


class Provider(Protocol):
    """A gateway and the provider behind it."""

    @property
    def gateway(self) -> Gateway:
        """Return the gateway."""
        ...

    def bodies(self, to: str) -> list[str]:
        """List the bodies of the messages created for a number, oldest first."""
        ...

    def calls(self, to: str) -> int:
        """Count the calls for a number that reached the provider."""
        ...

    def break_lists(self) -> None:
        """Make the next list fail."""
        ...

    async def text_us(self, body: str = "", *pictures: str, service: str | None = None) -> str:
        """Send a text from `THEIRS` to `OURS` without a webhook; return its id."""
        ...

    def short_pages(self) -> None:
        """Limit pages of lists to a few entries."""
        ...

    def alter_texts(self, habit: Habit) -> None:
        """Make the provider show texts altered by a habit."""
        ...

    def move(self, sid: str, status: MessageStatus, error_code: int | None = None) -> None:
        """Change the status of a message."""
        ...


class FakeProvider:
    """The fake, scripted like the simulator's magic numbers."""

    def __init__(self) -> None:
        self.gateway = FakeGateway()
        unknown, number = OutcomeUnknown, _magic
        self.gateway.always(Refused(400, 21614), to=number("614"))
        self.gateway.always(Refused(401, 20003), to=number("401"))
        self.gateway.answer(*[Refused(429, 20429)] * 3, to=number("429"))
        self.gateway.always(unknown(500, 20500), to=number("500"))
        self.gateway.always(unknown(500, 20500), to=number("501"), creates=True)
        self.gateway.always(unknown(502), to=number("502"))
        self.gateway.always(unknown(502), to=number("503"), creates=True)
        self.gateway.always(unknown(), to=number("504"), creates=True)
        self.gateway.always(unknown(), to=number("505"))
        self.gateway.always(unknown(), to=number("506"), creates=True)
        self.gateway.always(unknown(), to=number("507"))
        self.gateway.line_types = {
            number("006"): LineType.LANDLINE,
            number("801"): LineType.FIXED_VOIP,
            number("802"): LineType.UNKNOWN,
            number("803"): LineType.UNKNOWN,
            number("804"): LineType.UNKNOWN,
        }

    def bodies(self, to: str) -> list[str]:
        return [message.body for message in self.gateway.messages[to]]

    def calls(self, to: str) -> int:
        return len(self.gateway.calls_to(to))

    def break_lists(self) -> None:
        self.gateway.lists_fail = True

    async def text_us(self, body: str = "", *pictures: str, service: str | None = None) -> str:
        sid = f"SM{uuid4().hex}"
        now = datetime.now(UTC).replace(microsecond=0)
        text = ListedText(sid, THEIRS, OURS, service, body, len(pictures), now)
        self.gateway.texts.append(text)
        photos = {f"https://provider.test/{sid}/{at}": one for at, one in enumerate(pictures)}
        self.gateway.photos[sid] = list(photos)
        self.gateway.files |= {
            url: Attachment(kept_picture(one), media_type(one))
            for url, one in photos.items()
            if is_kept_here(one)
        }
        return sid

    def short_pages(self) -> None:
        self.gateway.page_size = 2

    def alter_texts(self, habit: Habit) -> None:
        self.gateway.habit = habit

    def move(self, sid: str, status: MessageStatus, error_code: int | None = None) -> None:
        for listed in self.gateway.messages.values():
            listed[:] = [
                replace(one, status=status, error_code=error_code) if one.sid == sid else one
                for one in listed
            ]


class TwilioProvider:
    """The real gateway on the simulator."""

    def __init__(
        self, gateway: TwilioGateway, simulator: Simulator, patch: pytest.MonkeyPatch
    ) -> None:
        self.gateway = gateway
        self.simulator = simulator
        self.patch = patch

    def bodies(self, to: str) -> list[str]:
        return [message.body for message in self.simulator.messages.newest_first(to)][::-1]

    def calls(self, to: str) -> int:
        return self.simulator.calls[to]

    def break_lists(self) -> None:
        self.simulator.behavior.fail_next_lists = NextFaults()

    async def text_us(self, body: str = "", *pictures: str, service: str | None = None) -> str:
        text, _ = await self.simulator.receive(
            InboundText(
                from_number=THEIRS,
                to=OURS,
                body=body,
                media_urls=pictures,
                messaging_service_sid=service,
                deliver=False,
            )
        )
        return text.sid

    def short_pages(self) -> None:
        self.patch.setattr("sms.gateway._TEXT_PAGE_SIZE", 2)

    def alter_texts(self, habit: Habit) -> None:
        self.simulator.behavior.habit = habit

    def move(self, sid: str, status: MessageStatus, error_code: int | None = None) -> None:
        message = self.simulator.messages.get(sid)
        assert message is not None
        message.move(status.value, error_code)


def _magic(digits: str) -> str:
    return f"+14155557{digits}"


@asynccontextmanager
async def _twilio(patch: pytest.MonkeyPatch) -> AsyncIterator[TwilioProvider]:
    app = create_app(
        SimulatorConfig(
            ACCOUNT_SID,
            AUTH_TOKEN,
            "http://127.0.0.1:9/webhooks/twilio/inbound",
            delivery_delay=timedelta(hours=1),
        )
    )
    # Without the protocol asyncio leaves Nagle's algorithm on: 40 ms per answer.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    server = uvicorn.Server(server_config(app, "127.0.0.1", 0))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    gateway = TwilioGateway(
        account_sid=ACCOUNT_SID,
        auth_token=AUTH_TOKEN,
        api_base_url=url,
        lookups_base_url=url,
        status_callback_url=CALLBACKS,
        limits=TimeLimits(
            connect=timedelta(seconds=2),
            read=timedelta(seconds=0.5),
            late_answer=timedelta(seconds=0.5),
        ),
        max_concurrent=4,
    )
    try:
        yield TwilioProvider(gateway, app.state.simulator, patch)
    finally:
        await gateway.aclose()
        server.should_exit = True
        await serving
        listening.close()


@pytest.fixture
async def twilio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwilioProvider]:
    async with _twilio(monkeypatch) as provider:
        yield provider


@pytest.fixture(params=["fake", "twilio"])
async def provider(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Provider]:
    if request.param == "fake":
        yield FakeProvider()
        return
    async with _twilio(monkeypatch) as provider:
        yield provider
