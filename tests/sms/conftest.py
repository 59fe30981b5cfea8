"""A server that records every byte and answers as scripted, and a gateway that calls it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest

from domain.messaging.deadline import Deadline
from domain.messaging.ports import SendRequest
from sms.deadline import TimeLimits
from sms.gateway import TwilioGateway

OURS = "+12025550100"
THEIRS = "+14155550123"
SECRET = "Dear Ada, your appointment is at nine"


def answer(
    status: int = 201, body: object = None, *, kind: str = "application/json", more: str = ""
) -> bytes:
    """Write an HTTP answer; without a body, a message's."""
    if body is None:
        body = {"sid": "SM1", "status": "queued", "from": OURS, "to": THEIRS, "body": SECRET}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = (
        f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\n{more}"
    )
    return f"{head}\r\n".encode() + content


@dataclass
class Recorder:
    """A server on loopback.

    Attributes:
        requests: What came over each connection, in order of connecting.
        answers: For the requests to come, one each; the last one stays. None closes the
            connection without an answer.
        pause: Seconds before an answer.
        trickle: Seconds between two bytes of an answer.
        closes: Whether the connection is closed after an answer.
    """

    url: str = ""
    requests: list[bytearray] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=lambda: [answer()])
    pause: float = 0
    trickle: float = 0
    closes: bool = False
    closes_at_once: bool = False

    @property
    def received(self) -> bytes:
        """Return all bytes of all connections."""
        return b"".join(self.requests)

    @property
    def connections(self) -> int:
        """Count the connections."""
        return len(self.requests)

    def count(self, start: bytes = b"POST ") -> int:
        """Count the requests that begin with a text."""
        return self.received.count(start)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        record = bytearray()
        self.requests.append(record)
        try:
            if not self.closes_at_once:
                await self._talk(reader, writer, record)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray
    ) -> None:
        while await _read_request(reader, record):
            await asyncio.sleep(self.pause)
            written = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if written is None:
                return
            step = 1 if self.trickle else len(written)
            for start in range(0, len(written), step):
                writer.write(written[start : start + step])
                await writer.drain()
                await asyncio.sleep(self.trickle)
            if self.closes:
                return


async def _read_request(reader: asyncio.StreamReader, record: bytearray) -> bool:
    """Add one request to the record as its bytes come in; false at the connection's end."""
    length = 0
    line = b"?"
    while line != b"\r\n":
        line = await reader.readline()
        record += line
        if not line:
            return False
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    record += await reader.readexactly(length)
    return True


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recording = Recorder()
    server = await asyncio.start_server(recording.serve, "127.0.0.1", 0)
    recording.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield recording
    server.close()
    await server.wait_closed()


MakeGateway = Callable[..., TwilioGateway]


@pytest.fixture
async def make_gateway(recorder: Recorder) -> AsyncIterator[MakeGateway]:
    made: list[TwilioGateway] = []

    def make(
        url: str | None = None,
        *,
        connect: float = 2,
        read: float = 2,
        late: float = 2,
        threads: int = 4,
    ) -> TwilioGateway:
        gateway = TwilioGateway(
            account_sid="AC" + "0" * 32,
            auth_token="token",
            api_base_url=url or recorder.url,
            lookups_base_url=url or recorder.url,
            status_callback_url="https://segue.example.com/webhooks/twilio/status",
            limits=TimeLimits(
                connect=timedelta(seconds=connect),
                read=timedelta(seconds=read),
                late_answer=timedelta(seconds=late),
            ),
            max_concurrent=threads,
        )
        made.append(gateway)
        return gateway

    yield make
    for gateway in made:
        await gateway.aclose()


@pytest.fixture
def gateway(make_gateway: MakeGateway) -> TwilioGateway:
    return make_gateway()


def call(seconds: float = 5, to: str = THEIRS) -> SendRequest:
    """Build a call that may begin within so many seconds."""
    return SendRequest(
        attempt_id=uuid4(),
        to=to,
        from_phone=OURS,
        messaging_service_sid=None,
        body=SECRET,
        media_urls=(),
        validity_seconds=3600,
        deadline=Deadline.within(timedelta(seconds=seconds)),
    )
