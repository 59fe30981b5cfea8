"""The drip on Celery with its beat, Redis as the broker, and the application's PostgreSQL.

Celery's documentation advises against a countdown for a distant future and for periodic tasks on a
database instead, so `beat` looks for due people every second. Whom it found is claimed for a
minute: if the worker dies, or the broker loses the task, the person is found again. The task is
acknowledged late, as one is that may run again, and holds the person's row while it sends.
https://docs.celeryq.dev/en/stable/getting-started/backends-and-brokers/redis.html (2026-11)
"""

from celery import Celery
from psycopg_pool import ConnectionPool

from bench.peers.drip import CALL_ERRORS, Given, Provider
from bench.peers.plan import SENDS_AT_ONCE, TEXTS, WAIT_SECONDS

_LOOK_SECONDS = 1.0
_CLAIM_SECONDS = 60

_SCHEMA = """
    CREATE TABLE people (
        phone text PRIMARY KEY,
        step int NOT NULL DEFAULT 0,
        due_at timestamptz NOT NULL DEFAULT now(),
        claimed_until timestamptz NOT NULL DEFAULT '-infinity',
        ended_at timestamptz
    );
    CREATE INDEX ON people (due_at) WHERE ended_at IS NULL
"""

_CLAIM = """
    UPDATE people SET claimed_until = now() + make_interval(secs => %s) WHERE phone IN (
        SELECT phone FROM people
        WHERE ended_at IS NULL AND due_at <= now() AND claimed_until <= now()
        FOR UPDATE SKIP LOCKED
    ) RETURNING phone, step
"""

_SENT = """
    UPDATE people SET step = step + 1, due_at = now() + make_interval(secs => %s),
        claimed_until = '-infinity', ended_at = CASE WHEN step + 1 = %s THEN now() END
    WHERE phone = %s
"""


def _pool(given: Given) -> ConnectionPool:
    return ConnectionPool(given.database_url, min_size=1, max_size=SENDS_AT_ONCE, open=True)


def _celery(given: Given) -> Celery:
    app = Celery("drip", broker=given.broker_url)
    app.conf.update(
        task_acks_late=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        beat_schedule={"due": {"task": "find_due", "schedule": _LOOK_SECONDS}},
    )
    pool, provider = _pool(given), Provider(given)

    @app.task(name="find_due")
    def find_due() -> None:
        with pool.connection() as connection:
            found = connection.execute(_CLAIM, [_CLAIM_SECONDS]).fetchall()
        for phone, step in found:
            send_text.delay(phone, step)

    @app.task(
        name="send_text",
        autoretry_for=CALL_ERRORS,
        retry_backoff=True,
    )
    def send_text(phone: str, step: int) -> None:
        with pool.connection() as connection:
            still_due = connection.execute(
                "SELECT FROM people WHERE phone = %s AND step = %s AND ended_at IS NULL FOR UPDATE",
                [phone, step],
            ).fetchone()
            if still_due is not None:
                provider.send(phone, step)
                connection.execute(_SENT, [WAIT_SECONDS, len(TEXTS), phone])

    return app


def set_up(given: Given) -> None:
    """Create the table."""
    with _pool(given) as pool, pool.connection() as connection:
        connection.execute(_SCHEMA)


def work(given: Given) -> None:
    """Run tasks."""
    size = str(SENDS_AT_ONCE)
    _celery(given).worker_main(["worker", "--pool", "threads", "--concurrency", size])


def beat(given: Given) -> None:
    """Start the look for due people every second."""
    _celery(given).start(["beat", "--schedule", f"{given.folder}/beat"])


class Site:
    """The web application: it writes rows, and `beat` finds them."""

    def __init__(self, given: Given) -> None:
        self._pool = _pool(given)

    def enroll(self, phones: list[str]) -> None:
        """Insert people, due at once."""
        with self._pool.connection() as connection:
            connection.execute(
                "INSERT INTO people (phone) SELECT unnest(%s::text[]) ON CONFLICT DO NOTHING",
                [phones],
            )

    def reply(self, phone: str, _message_sid: str) -> None:
        """End a person's drip; waits while a text to the person is under way."""
        with self._pool.connection() as connection:
            connection.execute(
                "UPDATE people SET ended_at = now() WHERE phone = %s AND ended_at IS NULL", [phone]
            )
