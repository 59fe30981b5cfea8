"""The drip on procrastinate: one job a text, which defers the next.

A person's jobs share a lock, so that they run one after the other, and each has a queueing lock, so
that a job which runs again does not defer the next one twice. Jobs of a worker that was killed are
found by its heartbeat and retried by a periodic task, as its documentation shows; there every ten
minutes, here every minute. People and jobs are inserted by one transaction.
https://procrastinate.readthedocs.io/en/stable/howto/production/retry_stalled_jobs.html (2026-11)
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import psycopg
from procrastinate import (
    App,
    JobContext,
    PsycopgConnector,
    RetryStrategy,
    SyncPsycopgConnector,
    exceptions,
)
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from bench.peers.drip import CALL_ERRORS, Given, Provider
from bench.peers.plan import SENDS_AT_ONCE, TEXTS, WAIT_SECONDS

_TASK = "send_text"
_LOOK_SECONDS = 1.0
_AGAIN = RetryStrategy(
    max_attempts=5,
    exponential_wait=2,
    retry_exceptions=CALL_ERRORS,
)


def set_up(given: Given) -> None:
    """Create procrastinate's tables and ours."""
    with App(connector=SyncPsycopgConnector(conninfo=given.database_url)).open() as app:
        app.schema_manager.apply_schema()
    with psycopg.connect(given.database_url) as connection:
        connection.execute("CREATE TABLE people (phone text PRIMARY KEY, replied_at timestamptz)")


def work(given: Given) -> None:
    """Run jobs."""
    asyncio.run(_work(given))


async def _work(given: Given) -> None:
    app = App(connector=PsycopgConnector(conninfo=given.database_url))
    pool = AsyncConnectionPool(given.database_url, max_size=SENDS_AT_ONCE, open=False)
    provider, threads = Provider(given), ThreadPoolExecutor(SENDS_AT_ONCE)

    @app.task(name=_TASK, retry=_AGAIN)
    async def send_text(phone: str, step: int) -> None:
        async with pool.connection() as connection:
            unanswered = await connection.execute(
                "SELECT FROM people WHERE phone = %s AND replied_at IS NULL", [phone]
            )
            if await unanswered.fetchone() is None:
                return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(threads, provider.send, phone, step)
        if step + 1 < len(TEXTS):
            following = send_text.configure(
                lock=phone,
                queueing_lock=f"{phone}/{step + 1}",
                schedule_in={"seconds": WAIT_SECONDS},
            )
            try:
                await following.defer_async(phone=phone, step=step + 1)
            except exceptions.AlreadyEnqueued:
                return  # by a run that was cut off

    @app.periodic(cron="* * * * *")
    @app.task(queueing_lock="retry_stalled_jobs", pass_context=True)
    async def retry_stalled_jobs(_context: JobContext, timestamp: int) -> None:  # noqa: ARG001
        for job in await app.job_manager.get_stalled_jobs():
            await app.job_manager.retry_job(job)

    async with pool, app.open_async():
        await app.run_worker_async(
            concurrency=SENDS_AT_ONCE, fetch_job_polling_interval=_LOOK_SECONDS
        )


class Site:
    """The web application: it defers first jobs and notes replies."""

    def __init__(self, given: Given) -> None:
        self._pool = ConnectionPool(given.database_url, max_size=SENDS_AT_ONCE, open=True)
        self._app = App(connector=SyncPsycopgConnector(conninfo=given.database_url)).open()

    def enroll(self, phones: list[str]) -> None:
        """Insert people and defer the job of each one's first text."""
        with self._pool.connection() as connection:
            connection.execute("INSERT INTO people (phone) SELECT unnest(%s::text[])", [phones])
            for phone in phones:
                first = self._app.configure_task(_TASK, lock=phone, connection=connection)
                first.defer(phone=phone, step=0)

    def reply(self, phone: str, _message_sid: str) -> None:
        """Note that a person replied, which every job asks before it sends."""
        with self._pool.connection() as connection:
            connection.execute(
                "UPDATE people SET replied_at = now() WHERE phone = %s AND replied_at IS NULL",
                [phone],
            )
