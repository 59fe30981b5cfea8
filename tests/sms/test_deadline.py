"""Nothing leaves after the deadline, wherever the process was stopped before it."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import InsecureRequestWarning
from urllib3.util import Timeout

from domain.messaging.deadline import Deadline
from domain.messaging.ports import Accepted, NotCalled, OutcomeUnknown, Refused
from domain.statuses.messaging import MessageStatus
from sms import deadline
from sms.deadline import DeadlinePassedError, Departure
from sms.gateway import TwilioGateway
from tests.fakes import Machine
from tests.sms.conftest import OURS, MakeGateway, Recorder, answer, call

SOON = 0.15
FREEZE = 0.3
GRACE = 0.1


class Freeze:
    """Stops the sending thread before or after one of its steps, as SIGSTOP would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        self.reached = threading.Event()

    def at(self, owner: type, step: str, *, after: bool = False, seconds: float = FREEZE) -> None:
        real: Callable[..., Any] = getattr(owner, step)

        def stopped(*args: Any, **kwargs: Any) -> Any:
            result = real(*args, **kwargs) if after else None
            self.reached.set()
            time.sleep(seconds)
            return result if after else real(*args, **kwargs)

        self._monkeypatch.setattr(owner, step, stopped)


@pytest.fixture
def freeze(monkeypatch: pytest.MonkeyPatch) -> Freeze:
    return Freeze(monkeypatch)


@pytest.mark.parametrize(
    ("step", "after"),
    [
        ("putrequest", False),
        ("endheaders", False),
        ("endheaders", True),
        ("_new_conn", False),
        ("_new_conn", True),
        ("connect", True),
    ],
)
async def test_process_stopped_before_the_send_sends_nothing(
    recorder: Recorder, gateway: TwilioGateway, freeze: Freeze, step: str, *, after: bool
) -> None:
    freeze.at(HTTPConnection, step, after=after)

    given = await gateway.create(call(SOON))
    await asyncio.sleep(GRACE)

    assert freeze.reached.is_set()
    assert given == NotCalled()
    assert recorder.connections == 1, "it did connect"
    assert recorder.received == b""


@pytest.mark.parametrize("standstill", [Machine.suspend, Machine.pause])
@pytest.mark.parametrize("step", ["connect", "endheaders"])
async def test_suspended_machine_sends_nothing(
    recorder: Recorder,
    gateway: TwilioGateway,
    monkeypatch: pytest.MonkeyPatch,
    machine: Machine,
    standstill: Callable[[Machine, timedelta], None],
    step: str,
) -> None:
    real: Callable[..., Any] = getattr(HTTPConnection, step)

    def stood_still(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        standstill(machine, timedelta(minutes=10))
        return result

    monkeypatch.setattr(HTTPConnection, step, stood_still)

    assert await gateway.create(call()) == NotCalled()
    assert recorder.received == b""


async def test_process_stopped_on_a_reused_connection_sends_nothing(
    recorder: Recorder, gateway: TwilioGateway, freeze: Freeze
) -> None:
    assert isinstance(await gateway.create(call()), Accepted)
    freeze.at(HTTPConnection, "endheaders", after=True)

    assert await gateway.create(call(SOON)) == NotCalled()
    await asyncio.sleep(GRACE)

    assert recorder.connections == 1
    assert recorder.count() == 1


async def test_late_call_does_not_connect(recorder: Recorder, gateway: TwilioGateway) -> None:
    assert await gateway.create(call(0)) == NotCalled()
    assert recorder.connections == 0


async def test_slow_connection_in_time_is_used(
    recorder: Recorder, gateway: TwilioGateway, freeze: Freeze
) -> None:
    freeze.at(HTTPConnection, "_new_conn")

    assert isinstance(await gateway.create(call(5)), Accepted)
    assert recorder.count() == 1


async def test_call_without_a_free_thread_in_time_is_not_made(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(threads=1)
    recorder.pause = FREEZE

    first, second = await asyncio.gather(gateway.create(call()), gateway.create(call(SOON)))

    assert isinstance(first, Accepted)
    assert second == NotCalled()
    assert recorder.count() == 1


async def test_canceled_call_sends_nothing(
    recorder: Recorder, gateway: TwilioGateway, freeze: Freeze
) -> None:
    freeze.at(HTTPConnection, "_new_conn")
    calling = asyncio.create_task(gateway.create(call()))
    await asyncio.to_thread(freeze.reached.wait)

    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    await asyncio.sleep(FREEZE + GRACE)

    assert recorder.connections == 1
    assert recorder.received == b""


async def test_connection_slower_than_the_call_is_refused(
    recorder: Recorder, make_gateway: MakeGateway, freeze: Freeze
) -> None:
    gateway = make_gateway(connect=0.1, read=0.1)
    freeze.at(HTTPConnection, "_new_conn", seconds=FREEZE)

    assert await gateway.create(call(5)) == Refused(0, None)
    await asyncio.sleep(FREEZE + GRACE)

    assert recorder.received == b""


async def test_answer_slower_than_the_call_leaves_outcome_unknown(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(connect=0.3, read=0.2, late=0.2)
    recorder.trickle = 0.1
    recorder.answers = [answer()[:10]]
    started = time.monotonic()

    assert await gateway.create(call()) == OutcomeUnknown()

    assert time.monotonic() - started < 0.9
    assert recorder.count() == 1


async def test_hanging_provider_leaves_outcome_unknown(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(connect=2, read=0.2, late=0.2)
    recorder.pause = 1
    started = time.monotonic()

    assert await gateway.create(call()) == OutcomeUnknown()
    assert time.monotonic() - started < 0.9


async def test_answer_after_the_time_for_the_call_comes_late(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(connect=0.1, read=0.1, late=5)
    recorder.pause = 0.5

    given = await gateway.create(call())

    assert given == OutcomeUnknown()
    assert isinstance(given, OutcomeUnknown)
    assert given.late is not None
    assert await given.late == Accepted("SM1", MessageStatus.QUEUED, OURS)


async def test_call_does_not_wait_for_the_late_answers_of_those_before(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    """Free slots get the next texts, which must not wait for a thread until they are late."""
    gateway = make_gateway(connect=0.1, read=0.1, late=0.5, threads=1)
    recorder.pause = 0.5

    given = [await gateway.create(call(SOON)) for _ in range(3)]

    assert given == [OutcomeUnknown()] * 3
    assert recorder.count() == 3


async def test_answer_after_the_late_limit_is_not_awaited(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway(connect=0.1, read=0.1, late=0.3)
    recorder.pause = 2

    given = await gateway.create(call())

    assert isinstance(given, OutcomeUnknown)
    assert given.late is not None
    assert await given.late == OutcomeUnknown()


async def test_request_is_sent_in_one_write(
    recorder: Recorder, gateway: TwilioGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    writes: list[bytes] = []
    real = socket.socket.sendall

    def sendall(self: socket.socket, data: Any, *flags: int) -> None:
        writes.append(bytes(data))
        real(self, data, *flags)

    monkeypatch.setattr(socket.socket, "sendall", sendall)

    await gateway.create(call())

    [written] = writes
    assert written == recorder.received


async def test_failed_connection_proves_nothing_was_sent(make_gateway: MakeGateway) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gateway = make_gateway(f"http://127.0.0.1:{unused.getsockname()[1]}")

        assert await gateway.create(call()) == Refused(0, None)


async def test_unknown_host_proves_nothing_was_sent(
    make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    gateway = make_gateway("http://twilio.invalid")
    gateway._session.trust_env = False
    monkeypatch.setattr(socket, "getaddrinfo", unknown)

    assert await gateway.create(call()) == Refused(0, None)


async def test_failed_tls_proves_nothing_was_sent(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    recorder.closes_at_once = True
    gateway = make_gateway(recorder.url.replace("http:", "https:"))

    assert await gateway.create(call()) == Refused(0, None)
    assert recorder.connections == 1


async def test_proxy_is_used_and_guarded(
    recorder: Recorder,
    make_gateway: MakeGateway,
    monkeypatch: pytest.MonkeyPatch,
    freeze: Freeze,
) -> None:
    monkeypatch.setenv("http_proxy", recorder.url)
    monkeypatch.delenv("no_proxy", raising=False)
    gateway = make_gateway("http://twilio.example")

    assert isinstance(await gateway.create(call()), Accepted)
    assert recorder.count(b"POST http://twilio.example/2010-04-01/") == 1

    freeze.at(HTTPConnection, "endheaders", after=True)
    assert await gateway.create(call(SOON)) == NotCalled()
    assert recorder.count() == 1


async def test_no_proxy_is_used_for_this_machine(
    gateway: TwilioGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)

    assert isinstance(await gateway.create(call()), Accepted)


class TestConnections:
    """Reuse of a kept connection."""

    async def test_connection_in_use_is_reused(
        self, recorder: Recorder, gateway: TwilioGateway
    ) -> None:
        for _ in range(3):
            assert isinstance(await gateway.create(call()), Accepted)

        assert recorder.connections == 1

    async def test_connection_idle_for_long_is_not_reused(
        self, recorder: Recorder, gateway: TwilioGateway, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deadline, "IDLE_LIMIT", timedelta(0))
        await gateway.create(call())

        assert isinstance(await gateway.create(call()), Accepted)
        assert recorder.connections == 2

    async def test_connection_is_not_reused_after_suspension(
        self, recorder: Recorder, gateway: TwilioGateway, machine: Machine
    ) -> None:
        await gateway.create(call())
        machine.suspend(timedelta(minutes=10))

        assert isinstance(await gateway.create(call()), Accepted)
        assert recorder.connections == 2

    async def test_closed_connection_is_not_reused(
        self, recorder: Recorder, gateway: TwilioGateway
    ) -> None:
        recorder.closes = True
        await gateway.create(call())
        await asyncio.sleep(GRACE)

        assert isinstance(await gateway.create(call()), Accepted)
        assert recorder.connections == 2

    async def test_closed_under_a_request_it_leaves_the_outcome_unknown(
        self, recorder: Recorder, gateway: TwilioGateway
    ) -> None:
        recorder.answers = [answer(), None]
        await gateway.create(call())

        assert await gateway.create(call()) == OutcomeUnknown()
        assert recorder.connections == 1
        assert recorder.count() == 2, "nothing may be repeated"


def _anonymous_tls(protocol: int) -> ssl.SSLContext:
    """Build a TLS context that needs no certificate."""
    context = ssl.SSLContext(protocol)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AECDH:@SECLEVEL=0")
    return context


@pytest.fixture
def tls_received() -> Iterator[tuple[int, bytearray]]:
    """Run a TLS server for one request; yield its port and what it decrypted."""
    received = bytearray()
    context = _anonymous_tls(ssl.PROTOCOL_TLS_SERVER)
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        accepted, _ = listening.accept()
        with context.wrap_socket(accepted, server_side=True) as connection:
            received.extend(connection.recv(65_536))
            if received:
                connection.sendall(answer())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1], received
    thread.join(timeout=5)
    listening.close()


@pytest.mark.filterwarnings(f"ignore::{InsecureRequestWarning.__module__}.InsecureRequestWarning")
@pytest.mark.parametrize("in_time", [True, False])
def test_deadline_is_checked_after_the_tls_handshake(
    tls_received: tuple[int, bytearray], freeze: Freeze, *, in_time: bool
) -> None:
    port, received = tls_received
    freeze.at(HTTPSConnection, "connect", after=True)
    departure = Departure(Deadline.within(timedelta(seconds=5 if in_time else SOON)))
    pool = deadline._POOLS["https"](
        "127.0.0.1",
        port,
        timeout=Timeout(connect=2, read=2),
        ssl_context=_anonymous_tls(ssl.PROTOCOL_TLS_CLIENT),
    )
    with departure.active():
        if in_time:
            assert pool.urlopen("POST", "/", body=b"To=1").status == 201
        else:
            with pytest.raises(DeadlinePassedError):
                pool.urlopen("POST", "/", body=b"To=1")
    pool.close()

    assert freeze.reached.is_set()
    assert departure.has_left is in_time
    assert received.endswith(b"To=1") is in_time
    assert bool(received) is in_time
