"""Status changes of an outbound message after its creation, reported by status callbacks."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from simulator.errors import error_text
from simulator.messages import Message
from simulator.scenarios import Fate, Reporting
from simulator.webhooks import Webhooks

FIRST_MOVE_AFTER = timedelta(milliseconds=10)
"""The shortest time to a first callback: usually the create's answer arrives before it."""


def status_fields(account_sid: str, message: Message) -> dict[str, str]:
    """Return the form fields that report a message's status."""
    fields = {**message.webhook_fields(account_sid), "MessageStatus": message.status}
    if message.error_code is not None:
        fields["ErrorCode"] = str(message.error_code)
        fields["ErrorMessage"] = error_text(message.error_code)
    if message.status in {"delivered", "undelivered"}:
        fields["RawDlrDoneDate"] = message.date_updated.strftime("%y%m%d%H%M")
    return fields


@dataclass(frozen=True)
class Life:
    """The coming status changes of a message.

    Attributes:
        chosen_number: The number a Messaging Service sends from, set with the first change.
        num_segments: Set with the first change too.
        lasts: From creation to the last status.
        late: How long callbacks follow their status changes.
    """

    message: Message
    fate: Fate
    reporting: Reporting
    chosen_number: str
    num_segments: int
    lasts: timedelta
    late: timedelta = timedelta()


class Callbacks:
    """Moves messages through their statuses and posts the callbacks, each message's in order."""

    def __init__(self, account_sid: str, webhooks: Webhooks, random: Random) -> None:
        self._account_sid = account_sid
        self._webhooks = webhooks
        self._random = random
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def open_tasks(self) -> int:
        """Messages and callbacks in progress."""
        return len(self._tasks)

    def spawn(self, work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Run a coroutine in the background until it ends or everything is canceled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def cancel_all(self) -> None:
        """Cancel everything in progress."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def live(self, life: Life) -> None:
        """Move a message through its statuses; return when its last callback was posted."""
        message = life.message
        pause = max(life.lasts / len(life.fate), FIRST_MOVE_AFTER).total_seconds()
        reports: list[dict[str, str]] = []
        last: asyncio.Task[None] | None = None
        for move in life.fate:
            await asyncio.sleep(pause)
            message.from_number = message.from_number or life.chosen_number
            message.num_segments = life.num_segments
            message.move(move.status, move.error_code)
            reports.append(status_fields(self._account_sid, message))
            if life.reporting in {Reporting.ON, Reporting.DOUBLED} and message.status_callback:
                times = 2 if life.reporting is Reporting.DOUBLED else 1
                reporting = self._report(life, reports[-1:] * times, last)
                last = self.spawn(reporting)
        if life.reporting is Reporting.SHUFFLED and message.status_callback:
            await self._report(life, self._shuffled(reports), None)
        if last is not None:
            await last

    async def _report(
        self, life: Life, reports: list[dict[str, str]], earlier: "asyncio.Task[None] | None"
    ) -> None:
        """Post callbacks one after another, after the earlier ones of the same message."""
        await asyncio.sleep(life.late.total_seconds())
        if earlier is not None:
            await earlier
        for fields in reports:
            await self._webhooks.post(life.message.status_callback or "", fields)

    def _shuffled(self, reports: list[dict[str, str]]) -> list[dict[str, str]]:
        """Return the callbacks in any order but their own."""
        shuffled = list(reports)
        while len(reports) > 1 and shuffled == reports:
            self._random.shuffle(shuffled)
        return shuffled
