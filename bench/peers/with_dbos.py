"""The drip on DBOS: one durable workflow for a person, which waits for a reply between texts.

The workflow's id is the number, so enrolling twice starts nothing. A step is never run again once
it has completed; one that was cut off is. So a text is under way until its step has been recorded,
and that is what is limited. A reply is a message to the workflow.
https://docs.dbos.dev/python/tutorials/workflow-tutorial (2026-11)
"""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy
from dbos import DBOS, DBOSClient

from bench.peers.drip import Given, Provider
from bench.peers.plan import SENDS_AT_ONCE, TEXTS, WAIT_SECONDS

_QUEUE, _WORKFLOW, _TOPIC = "drips", "drip", "reply"
_THREADS = 32
"""For statements; the default, no limit, made a thread for every person who had something to do."""


def _launch(given: Given) -> None:
    DBOS(
        config={
            "name": "drip",
            "system_database_url": given.database_url,
            "log_level": "WARNING",
            "max_executor_threads": _THREADS,
        }
    )
    DBOS.launch()


def set_up(given: Given) -> None:
    """Create DBOS's tables."""
    _launch(given)
    DBOS.destroy()


def work(given: Given) -> None:
    """Run workflows."""
    provider, threads = Provider(given), ThreadPoolExecutor(SENDS_AT_ONCE)

    under_way = asyncio.Semaphore(SENDS_AT_ONCE)

    @DBOS.step(name="send_text", retries_allowed=True, max_attempts=5)
    async def send_text(phone: str, step: int) -> str:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, provider.send, phone, step)

    @DBOS.workflow(name=_WORKFLOW)
    async def drip(phone: str) -> None:
        for step in range(len(TEXTS)):
            async with under_way:
                await send_text(phone, step)
            if step + 1 < len(TEXTS) and await DBOS.recv_async(_TOPIC, WAIT_SECONDS) is not None:
                return

    _launch(given)
    DBOS.register_queue(_QUEUE)
    threading.Event().wait()


class Site:
    """The web application: it enqueues workflows and sends them replies."""

    def __init__(self, given: Given) -> None:
        self._client = DBOSClient(system_database_url=given.database_url)
        url = sqlalchemy.make_url(given.database_url).set(drivername="postgresql+psycopg")
        self._engine = sqlalchemy.create_engine(url)

    def enroll(self, phones: list[str]) -> None:
        """Enqueue the workflow of each, all or none."""
        with self._engine.begin() as connection:
            for phone in phones:
                self._client.enqueue_in_transaction(
                    connection,
                    {"queue_name": _QUEUE, "workflow_name": _WORKFLOW, "workflow_id": phone},
                    phone,
                )

    def reply(self, phone: str, message_sid: str) -> None:
        """Send a person's reply to the workflow."""
        self._client.send(phone, "replied", _TOPIC, idempotency_key=message_sid)
