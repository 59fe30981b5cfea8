"""Calls webhooks from a process of its own: `python -m bench.webhook_load`, its plan on stdin.

Requests are signed and written before the first is sent, and go over raw keep-alive connections, so
that the load costs the machine little. What became of each is written to stdout as JSON.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, cast
from urllib.parse import quote_plus

import uvloop

Result = Literal["stored", "refused", "failed", "reset", "none"]
"""2xx, 503, another status, a lost connection, no answer at all."""

_REFUSED = 503
_SUCCESS = range(200, 300)


@dataclass(frozen=True)
class Webhook:
    """One webhook: its target and the fields of its form."""

    target: str
    fields: dict[str, str]


@dataclass(frozen=True)
class Plan:
    """What to send.

    Attributes:
        port: Of the server on 127.0.0.1.
        base_url: The public address that is signed.
        token: What signs.
        calls: In their order.
        at_once: Of a closed loop: how many connections, each with the next call after an answer.
        seconds: After so many seconds nothing more is sent.
        rates: Of an open loop: pairs of seconds and calls a second, one after the other.
        patience: How many seconds an answer of an open loop may take.
    """

    port: int
    base_url: str
    token: str
    calls: Sequence[Webhook]
    at_once: int = 16
    seconds: float = 5.0
    rates: Sequence[tuple[float, float]] = ()
    patience: float = 20.0


@dataclass
class Answers:
    """What became of the calls that were sent, in their order.

    Attributes:
        results: Of each.
        begun: When each was sent, in seconds from the first.
        took: Seconds from then to the answer; of one without an answer, until it was given up.
        has_retry_after: How many of the refused said when to come again.
    """

    results: list[Result] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    has_retry_after: int = 0


def main() -> None:
    """Read the plan, send, and write what became of it."""
    plan = json.load(sys.stdin)
    plan["calls"] = [Webhook(**call) for call in plan["calls"]]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        json.dump(asdict(runner.run(_send(Plan(**plan)))), sys.stdout)


async def _send(plan: Plan) -> Answers:
    requests = [_request(plan, call) for call in plan.calls]
    if plan.rates:
        return await _open_loop(plan, requests)
    return await _closed_loop(plan, requests)


def _request(plan: Plan, call: Webhook) -> bytes:
    signed = plan.base_url + call.target + "".join(k + v for k, v in sorted(call.fields.items()))
    digest = hmac.digest(plan.token.encode(), signed.encode(), hashlib.sha1)
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in call.fields.items()).encode()
    head = (
        f"POST {call.target} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
        f"X-Twilio-Signature: {base64.b64encode(digest).decode()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One connection, with one call at a time."""

    def __init__(self) -> None:
        self._read = b""
        self._answer: asyncio.Future[bytes] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found or self._answer is None or self._answer.done():
            return
        if len(body) >= _length(head):
            self._read = b""
            self._answer.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def call(self, request: bytes) -> bytes:
        """Send a request and return the head of its answer."""
        if self._transport is None:
            raise ConnectionResetError
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length: ")
    return int(rest.partition(b"\r\n")[0]) if found else 0


async def _connected(port: int) -> _Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(_Connection, "127.0.0.1", port)
    return connection


def _result(head: bytes) -> Result:
    status = int(head.split(b" ", 2)[1])
    return "stored" if status in _SUCCESS else "refused" if status == _REFUSED else "failed"


class _Book:
    """Notes what becomes of each call."""

    def __init__(self, calls: int) -> None:
        self.answers = Answers(["none"] * calls, [0.0] * calls, [0.0] * calls)
        self._first = time.perf_counter()

    def begin(self, number: int) -> None:
        self.answers.begun[number] = time.perf_counter() - self._first

    def end(self, number: int, result: Result, head: bytes = b"") -> None:
        self.answers.results[number] = result
        now = time.perf_counter() - self._first
        self.answers.took[number] = now - self.answers.begun[number]
        if result == "refused" and b"\r\nretry-after:" in head.lower():
            self.answers.has_retry_after += 1

    def sent(self, calls: int) -> Answers:
        """Cut what was never sent."""
        one = self.answers
        return Answers(
            one.results[:calls], one.begun[:calls], one.took[:calls], one.has_retry_after
        )


async def _closed_loop(plan: Plan, requests: Sequence[bytes]) -> Answers:
    connections = [await _connected(plan.port) for _ in range(plan.at_once)]
    book, numbers = _Book(len(requests)), iter(range(len(requests)))
    ends, sent = time.perf_counter() + plan.seconds, 0

    async def work(connection: _Connection) -> None:
        nonlocal sent
        while time.perf_counter() < ends and (number := next(numbers, None)) is not None:
            sent += 1
            book.begin(number)
            head = await connection.call(requests[number])
            book.end(number, _result(head), head)
            if not connection.is_open:
                connection = await _connected(plan.port)

    await asyncio.gather(*map(work, connections))
    return book.sent(sent)


async def _open_loop(plan: Plan, requests: Sequence[bytes]) -> Answers:
    free: list[_Connection] = []
    book, sent = _Book(len(requests)), 0

    async def work(number: int) -> None:
        book.begin(number)
        connection = next((one for one in _drain(free) if one.is_open), None)
        try:
            async with asyncio.timeout(plan.patience):
                connection = connection or await _connected(plan.port)
                head = await connection.call(requests[number])
        except (TimeoutError, OSError) as error:
            book.end(number, "none" if isinstance(error, TimeoutError) else "reset")
            if connection is not None:
                connection.close()
        else:
            book.end(number, _result(head), head)
            free.append(connection)

    async with asyncio.TaskGroup() as under_way:
        due = time.perf_counter()
        for seconds, rate in plan.rates:
            ends = due + seconds
            while due < ends and sent < len(requests):
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                under_way.create_task(work(sent))
                sent, due = sent + 1, due + 1 / rate
    return book.sent(sent)


def _drain(free: list[_Connection]) -> Iterator[_Connection]:
    while free:
        yield free.pop()


if __name__ == "__main__":
    main()
