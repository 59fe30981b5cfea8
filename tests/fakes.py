"""Fakes that pass the same contract tests as the real things."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from domain.messaging.deadline import Clocks
from domain.messaging.ports import (
    Accepted,
    Attachment,
    ListedMessage,
    ListedText,
    ListPage,
    NotCalled,
    OutcomeUnknown,
    ProviderUnavailableError,
    SendRequest,
    SendResult,
)
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MessageStatus
from simulator.habits import Habit


@dataclass
class Machine:
    """A machine that a test can suspend or pause.

    Attributes:
        clocks: The clocks of its processes.
    """

    _asleep: float = 0
    _paused: float = 0

    def suspend(self, by: timedelta) -> None:
        """Suspend it: the monotonic clock stops, the others do not."""
        self._asleep += by.total_seconds()

    def pause(self, by: timedelta) -> None:
        """Pause it by the hypervisor: only the wall clock is set afterwards."""
        self._paused += by.total_seconds()

    @property
    def clocks(self) -> Clocks:
        real = Clocks()
        return Clocks(
            real.monotonic,
            lambda: real.boot() + self._asleep,
            lambda: real.wall() + self._asleep + self._paused,
        )


@dataclass(frozen=True)
class _Scripted:
    answer: SendResult
    creates: bool


@dataclass
class FakeGateway:
    """A provider in memory that accepts every text, unless scripted.

    Attributes:
        calls: Every call that reached it, in order; a call after its deadline does not.
        messages: The outbound list, by recipient; a test may add and change entries.
        habit: How the account alters the texts that it shows.
        line_types: By number; all others are mobile.
        texts: The inbound list, oldest first.
        photos: The addresses of a text's pictures, by its id.
        files: What is at these addresses.
        page_size: The number of entries in a page.
        lists_fail: While true, lists and messages fail.
        asked: The windows and pages of inbound lists that were requested.
        asked_for: The numbers of these lists, None for all.
        fetched: The ids of the messages that were fetched, in order.
        look_ups_fail: While true, look-ups fail.
        delay: Seconds before the call, in which a deadline may pass.
        on_call: Awaited between a call's arrival and its answer.
    """

    calls: list[SendRequest] = field(default_factory=list)
    messages: defaultdict[str, list[ListedMessage]] = field(
        default_factory=lambda: defaultdict(list)
    )
    habit: Habit | None = None
    line_types: dict[str, LineType] = field(default_factory=dict)
    texts: list[ListedText] = field(default_factory=list)
    photos: dict[str, Sequence[str]] = field(default_factory=dict)
    files: dict[str, Attachment] = field(default_factory=dict)
    page_size: int = 1000
    lists_fail: bool = False
    asked: list[tuple[datetime, datetime, str | None]] = field(default_factory=list)
    asked_for: list[str | None] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    look_ups_fail: bool = False
    delay: float = 0
    on_call: Callable[[SendRequest], Awaitable[None]] | None = None
    _next: dict[str | None, deque[_Scripted]] = field(default_factory=dict)
    _always: dict[str | None, _Scripted] = field(default_factory=dict)

    def answer(
        self, *answers: SendResult, to: str | None = None, creates: bool | None = None
    ) -> None:
        """Give these answers to the next calls, one each.

        Args:
            answers: An `Accepted` without a sid gets one.
            to: For calls for this number; None: for numbers without their own answers.
            creates: Whether a message is created; None: if the answer is `Accepted`.
        """
        queue = self._next.setdefault(to, deque())
        queue.extend(_scripted(answer, creates=creates) for answer in answers)

    def always(
        self, answer: SendResult, *, to: str | None = None, creates: bool | None = None
    ) -> None:
        """Give this answer to every call without one by `answer`; arguments as there."""
        self._always[to] = _scripted(answer, creates=creates)

    def lose(self, *, to: str | None = None, creates: bool) -> None:
        """Lose the answer to the next call, whose message is created or not."""
        self.answer(OutcomeUnknown(), to=to, creates=creates)

    def calls_to(self, to: str) -> list[SendRequest]:
        """Return the calls for one number."""
        return [call for call in self.calls if call.to == to]

    async def create(self, call: SendRequest) -> SendResult:
        """Answer a call as scripted."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if call.deadline.is_late:
            return NotCalled()
        self.calls.append(call)
        scripted = self._take(call)
        answer = scripted.answer
        if isinstance(answer, Accepted):
            is_intact = answer.is_intact and self._shown(call.to, call.body) == (call.to, call.body)
            answer = replace(answer, sid=answer.sid or _new_sid(), is_intact=is_intact)
        if scripted.creates:
            self._keep(call, answer)
        if self.on_call is not None:
            await self.on_call(call)
        return answer

    async def list_outbound(self, to: str, since: datetime) -> Sequence[ListedMessage]:
        """List the outbound texts for a number, newest first."""
        if self.lists_fail:
            raise ProviderUnavailableError
        if self._shown(to, "")[0] != to:
            return []
        earliest = since.replace(microsecond=0)
        newest_first = reversed(self.messages[to])
        found = [message for message in newest_first if message.created_at >= earliest]
        shown = [replace(message, body=self._shown(to, message.body)[1]) for message in found]
        return sorted(shown, key=lambda message: message.created_at, reverse=True)

    async def list_inbound(
        self, since: datetime, until: datetime, page: str | None = None, *, to: str | None = None
    ) -> ListPage[ListedText]:
        """List inbound texts, newest first, a page at a time."""
        self.asked.append((since, until, page))
        self.asked_for.append(to)
        if self.lists_fail:
            raise ProviderUnavailableError
        earliest = since.replace(microsecond=0)
        found = [
            text
            for text in reversed(self.texts)
            if earliest <= text.sent_at <= until and to in {None, text.to}
        ]
        start = int(page or 0)
        end = start + self.page_size
        return ListPage(found[start:end], str(end) if end < len(found) else None)

    async def list_sent(
        self, since: datetime, page: str | None = None, *, from_phone: str | None = None
    ) -> ListPage[ListedMessage]:
        """List outbound texts, newest first, a page at a time."""
        if self.lists_fail:
            raise ProviderUnavailableError
        sent = [
            replace(one, to=to)
            for to, listed in self.messages.items()
            for one in listed
            if one.created_at >= since.replace(microsecond=0)
            and from_phone in {None, one.from_phone}
        ]
        sent.reverse()
        sent.sort(key=lambda text: text.created_at, reverse=True)  # stable within a second
        start = int(page or 0)
        end = start + self.page_size
        return ListPage(sent[start:end], str(end) if end < len(sent) else None)

    async def pictures(self, sid: str) -> Sequence[str]:
        """List the addresses of a text's pictures."""
        if sid not in self.photos:
            raise ProviderUnavailableError
        return self.photos[sid]

    async def attachment(self, url: str) -> Attachment | None:
        """Find a file by its address."""
        if self.lists_fail:
            raise ProviderUnavailableError
        return self.files.get(url)

    async def message(self, sid: str) -> ListedMessage | None:
        """Find a message by its id."""
        if self.lists_fail:
            raise ProviderUnavailableError
        self.fetched.append(sid)
        everything = (message for listed in self.messages.values() for message in listed)
        return next((message for message in everything if message.sid == sid), None)

    async def line_type(self, phone: str) -> LineType:
        """Return the line type of a number."""
        if self.look_ups_fail:
            raise ProviderUnavailableError
        return self.line_types.get(phone, LineType.MOBILE)

    def _take(self, call: SendRequest) -> _Scripted:
        for to in (call.to, None):
            if queue := self._next.get(to):
                return queue.popleft()
            if to in self._always:
                return self._always[to]
        status = MessageStatus.QUEUED if call.from_phone else MessageStatus.ACCEPTED
        return _scripted(Accepted("", status, call.from_phone))

    def _keep(self, call: SendRequest, answer: SendResult) -> None:
        accepted = answer if isinstance(answer, Accepted) else None
        self.messages[call.to].append(
            ListedMessage(
                sid=accepted.sid if accepted else _new_sid(),
                body=call.body,
                status=accepted.status if accepted else MessageStatus.QUEUED,
                created_at=datetime.now(UTC).replace(microsecond=0),
                from_phone=call.from_phone,
                to=call.to,
            )
        )

    def _shown(self, to: str, body: str) -> tuple[str, str]:
        """Return a recipient and a text as the account shows them."""
        return (self.habit.recipient(to), self.habit.body(body)) if self.habit else (to, body)


def _scripted(answer: SendResult, *, creates: bool | None = None) -> _Scripted:
    return _Scripted(answer, isinstance(answer, Accepted) if creates is None else creates)


def _new_sid() -> str:
    return "SM" + uuid4().hex
