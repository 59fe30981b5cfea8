"""The worker with faults at named points: `python -m tests.chaos.worker FOLDER [SABOTAGE]`."""

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID

from temporalio.worker import Worker

import domain.messaging.deadline
import worker
from domain.messaging.deadline import Clocks
from domain.messaging.ports import NextAction, SendResult
from services.factory import Services
from sms import deadline
from sms.deadline import Departure
from storage.messaging import sending
from storage.messaging.sending import StepRow
from storage.platform.database import Transaction
from tests.chaos.points import Faults, Point, StruckDatabase, monotonic
from tests.chaos.sabotage import Forwarding, Sabotage, sabotaged, without
from workflows import limits

SEND_TIME = timedelta(seconds=6)
"""How long a send may take before Temporal retries it: 30 s in the product."""

STICKY = timedelta(seconds=1)
"""How long a workflow task waits for the worker with the cached workflow, which may be dead."""


class StruckLedger(Forwarding):
    """A ledger with faults where attempts are opened and answers recorded."""

    faults: Faults

    async def open_step(self, enrollment_id: UUID) -> NextAction:
        ask = super().open_step
        return await self.faults.around("open", lambda: ask(enrollment_id))

    async def open_message(self, message_id: UUID) -> NextAction:
        ask = super().open_message
        return await self.faults.around("open", lambda: ask(message_id))

    async def record_answer(self, attempt_id: UUID, answer: SendResult) -> NextAction:
        record = super().record_answer
        return await self.faults.around("answer", lambda: record(attempt_id, answer))


def build(faults: Faults, sabotage: Sabotage | None, *given: Any, **named: Any) -> Services:
    """Build the worker's use cases with a ledger that faults strike."""
    services = Services(*given, **named)
    rules = services.config.rules
    ledger = StruckLedger(sabotaged(sabotage, services.sending, services.database, rules))
    ledger.faults = faults
    services.sending = ledger  # type: ignore[assignment] # the same methods
    return services


def struck_lock(faults: Faults) -> Callable[..., Any]:
    """Lock for a step as always, then be struck."""
    lock = sending.lock_step

    async def lock_step(tx: Transaction, enrollment_id: UUID, zone: str) -> StepRow | None:
        row = await lock(tx, enrollment_id, zone)
        await faults.strike(Point.OPEN_LOCKED)
        return row

    return lock_step


def struck_departure(faults: Faults) -> Callable[..., Any]:
    """Strike where a request is about to be sent, before its deadline is checked."""
    leave = Departure.leave

    def struck(departure: Departure) -> None:
        faults.strike_thread(Point.CALL_UNSENT)
        leave(departure)

    return struck


def struck_answer(faults: Faults) -> Callable[..., Any]:
    """Strike after a request was sent, before its answer is read."""
    connection = deadline._GuardedConnection
    getresponse = connection.getresponse

    def struck(self: Any) -> Any:
        departure = deadline._departure.get()
        if departure is not None and departure.has_left:
            faults.strike_thread(Point.CALL_SENT)
        return getresponse(self)

    return struck


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("sabotage", type=Sabotage, nargs="?", choices=list(Sabotage))
    arguments = parser.parse_args()
    faults = Faults(arguments.folder)
    with ExitStack() as replaced:
        for target, name, instead in (
            (worker, "Database", StruckDatabase),
            (worker, "Services", partial(build, faults, arguments.sabotage)),
            (
                worker,
                "Worker",
                partial(Worker, sticky_queue_schedule_to_start_timeout=STICKY),
            ),
            (limits, "SEND", {**limits.SEND, "start_to_close_timeout": SEND_TIME}),
            (limits, "RESOLVE", {**limits.RESOLVE, "start_to_close_timeout": SEND_TIME}),
            (sending, "lock_step", struck_lock(faults)),
            (Departure, "leave", struck_departure(faults)),
            (domain.messaging.deadline, "Clocks", partial(Clocks, monotonic)),
            (deadline._GuardedConnection, "getresponse", struck_answer(faults)),
        ):
            replaced.enter_context(patch.object(target, name, instead))
        replaced.enter_context(without(arguments.sabotage))
        worker.main()


if __name__ == "__main__":
    main()
