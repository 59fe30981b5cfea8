"""One run: enroll people, reply for some, kill the worker if so planned, and watch the provider."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import httpx

from bench.peers.judging import Judgment, Text, judge, unfinished
from bench.peers.plan import DOWN_SECONDS, REPLY_SECONDS, SENDER, TEXTS, Plan
from bench.peers.ways import Running

_POLL_SECONDS = 0.25
_CALM_SECONDS = 5
"""How long a run without a fault goes on after its last text."""

_RECOVERY_SECONDS = 100
"""How long at least a run goes on after the worker was killed: what is redelivered late counts."""

_GIVE_UP_SECONDS = 600


@dataclass(frozen=True)
class Run:
    """What happened.

    Attributes:
        seconds: From the request until everyone had every text or had replied; until the end if
            that never happened.
        recovery_seconds: From the worker's end until then; 0 if it was not killed.
        replies: How many were answered with success.
        refused: Replies that were not.
    """

    seconds: float
    recovery_seconds: float
    replies: int
    refused: int
    judgment: Judgment


async def run(running: Running, plan: Plan) -> Run:
    """Make one run."""
    async with (
        httpx.AsyncClient(base_url=running.servers.simulator, timeout=60) as provider,
        asyncio.TaskGroup() as beside,
    ):
        return await _Watch(running, plan, provider, beside).run()


class _Watch:
    def __init__(
        self,
        running: Running,
        plan: Plan,
        provider: httpx.AsyncClient,
        beside: asyncio.TaskGroup,
    ) -> None:
        self._running, self._plan = running, plan
        self._provider, self._beside = provider, beside
        self._texts: list[Text] = []
        self._got: dict[str, set[str]] = defaultdict(set)
        self._replied: dict[str, float] = {}
        self._refused = 0
        self._after = 0

    async def run(self) -> Run:
        await self._skip_old_texts()
        begun = time.monotonic()
        self._beside.create_task(asyncio.to_thread(self._running.enroll, self._plan.phones))
        killed = finished = None
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self._look()
            now = time.monotonic()
            if self._plan.kill and killed is None and 2 * len(self._texts) >= self._plan.texts:
                killed = now
                self._beside.create_task(self._restart_worker())
            if finished is None and not self._waiting():
                finished = now
            if now > begun + _GIVE_UP_SECONDS or (
                finished is not None
                and now > finished + _CALM_SECONDS
                and now > (killed or finished) + (_RECOVERY_SECONDS if killed else 0)
            ):
                break
        ended = finished or time.monotonic()
        return Run(
            seconds=ended - begun,
            recovery_seconds=ended - killed if killed else 0.0,
            replies=len(self._replied),
            refused=self._refused,
            judgment=judge(self._texts, frozenset(self._plan.phones), self._replied, TEXTS),
        )

    async def _skip_old_texts(self) -> None:
        await self._look()
        self._texts.clear()
        self._got.clear()

    async def _look(self) -> None:
        """Read what the provider accepted since the last look; reply to first texts."""
        found = await self._provider.get("/_simulator/messages", params={"after": self._after})
        now = time.monotonic()
        for message in found.json()["messages"]:
            self._after = message["number"]
            if message["direction"] == "inbound":
                continue
            phone = message["to"]
            if phone in self._plan.repliers and phone not in self._got:
                self._beside.create_task(self._reply(phone))
            self._texts.append(Text(phone, message["body"], now))
            self._got[phone].add(message["body"])

    async def _reply(self, phone: str) -> None:
        await asyncio.sleep(REPLY_SECONDS)
        text = {"from": phone, "to": SENDER, "body": "Sure!"}
        answer = (await self._provider.post("/_simulator/inbound", json=text)).json()
        status = answer["webhook_status"]
        if status is not None and status < httpx.codes.BAD_REQUEST:
            self._replied[phone] = time.monotonic()
        else:
            self._refused += 1

    async def _restart_worker(self) -> None:
        await asyncio.to_thread(self._running.kill_worker)
        await asyncio.sleep(DOWN_SECONDS)
        self._running.worker.launch()

    def _waiting(self) -> Sequence[str]:
        """People who still have something to come; who will reply is not done before."""
        return unfinished(self._got, self._plan.phones, self._replied, TEXTS)
