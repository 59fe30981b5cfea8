"""`python -m bench.release`: a sender with very many waiting enrollments comes off hold.

While they are woken page by page, texts start and STOPs arrive at the same PostgreSQL. Both are
measured alone first.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import psycopg

from bench import command, runs, stack
from bench.table import Figure, Row
from domain.messaging.inbound import InboundText
from domain.messaging.ports import Gateway, SendRequest
from domain.platform.rules import SendingRules
from services.factory import ServiceConfig, Services
from storage.platform.database import Database
from workflows.client import EnrollmentClient, TemporalUnavailableError

_ALONE = 200
_BESIDE_MOST = 5000
_PAUSE_SECONDS = 0.005

_FILL = (
    """
    INSERT INTO contacts (id, first_name, last_name, phone, time_zone)
    SELECT gen_random_uuid(), 'Ann' || i, 'Lee', '+1212' || 2000000 + i, 'America/New_York'
    FROM generate_series(%(first)s, %(first)s + %(count)s - 1) i
    """,
    """
    INSERT INTO enrollments (id, sequence_id, version_id, contact_id, enrolled_by, enrolled_at,
        status, activity, held_reason, position, step, step_count, next_send_at, due_at)
    SELECT gen_random_uuid(), v.sequence_id, v.id, c.id, %(user_id)s, now(), 'active',
        CASE WHEN %(is_held)s THEN 'held' ELSE 'waiting' END,
        CASE WHEN %(is_held)s THEN 'sender_on_hold' END,
        1, 0, 3, CASE WHEN NOT %(is_held)s THEN now() END, now()
    FROM contacts c CROSS JOIN sequence_versions v
    WHERE NOT EXISTS (SELECT FROM enrollments e WHERE e.contact_id = c.id)
    """,
    "VACUUM ANALYZE",
)


@dataclass
class Times:
    """Durations in milliseconds."""

    taken: list[float] = field(default_factory=list)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Measure the block."""
        begun = time.perf_counter()
        yield
        self.taken.append(1000 * (time.perf_counter() - begun))

    def told(self) -> str:
        """Describe the median, the high percentiles and the maximum."""
        median, most = statistics.median(self.taken), max(self.taken)
        rare = statistics.quantiles(self.taken, n=100)[98]
        return (
            f"{len(self.taken):6} times: median {median:.1f} ms, 99 % {rare:.1f} ms,"
            f" longest {most:.1f} ms"
        )


@dataclass
class Beside:
    """Load beside a release, or alone: STOPs of some contacts, first texts to others."""

    stops: Times = field(default_factory=Times)
    sends: Times = field(default_factory=Times)

    async def go_on(
        self,
        services: Services,
        people: Iterator[tuple[UUID, str]],
        go_on: Callable[[int], bool],
    ) -> None:
        """Take two contacts after another while ``go_on`` returns true for their count."""
        done = 0
        while go_on(done):
            enrollment_id, _ = next(people)
            with self.sends.one():
                next_action = await services.sending.open_step(enrollment_id)
            assert isinstance(next_action, SendRequest), next_action  # noqa: S101 - else nothing was measured
            _, phone = next(people)
            stop = InboundText(
                sid=f"SM{uuid4().hex}",
                phone=phone,
                to=runs.OUR_PHONE,
                messaging_service_sid=None,
                body="STOP",
                media_urls=(),
                opt_out_type="STOP",
                occurred_at=None,
            )
            with self.stops.one():
                await services.inbound.receive(stop)
            done += 1
            await asyncio.sleep(_PAUSE_SECONDS)


class _NobodyThere:
    """A Temporal that is unreachable: no outbox row is delivered."""

    async def pace_senders(self, _: Mapping[UUID, float]) -> None:
        raise TemporalUnavailableError("UNAVAILABLE")


@contextmanager
def _postgres() -> Iterator[str]:
    """Give the address of a migrated database until the block ends."""
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with stack.postgres_in(folder) as postgres:
            yield postgres.url(stack.DATABASE)


@asynccontextmanager
async def _services(url: str, transactions: Times) -> AsyncIterator[Services]:
    """Return the use cases; ``transactions`` records how long each transaction took."""
    database = Database(url, around=transactions.one)
    temporal = cast("EnrollmentClient", _NobodyThere())
    gateway = cast("Gateway", object())  # never called
    try:
        yield Services(database, temporal, gateway, ServiceConfig(SendingRules()))
    finally:
        await database.close()


def _fill(connection: psycopg.Connection, world: runs.World, first: int, count: int) -> None:
    values = {"first": first, "count": count, "is_held": first == 0, **vars(world)}
    for statement in _FILL:
        connection.execute(statement, values)


async def measure(held: int) -> list[Figure]:
    """Release a sender that so many wait for."""
    print("starting PostgreSQL ...", flush=True)
    with _postgres() as url:
        of_release = Times()
        async with _services(url, of_release) as releasing, _services(url, Times()) as others:
            world = await runs.found_world(others)
            print(f"writing {held:,} enrollments that are held ...", flush=True)
            with psycopg.connect(url, autocommit=True) as connection:
                _fill(connection, world, 0, held)
                _fill(connection, world, held, 2 * (_ALONE + _BESIDE_MOST))
                people = iter(
                    connection.execute(
                        "SELECT e.id, c.phone FROM enrollments e"
                        " JOIN contacts c ON c.id = e.contact_id"
                        " WHERE e.activity = 'waiting' ORDER BY c.phone"
                    ).fetchall()
                )
                alone, beside = Beside(), Beside()
                await alone.go_on(others, people, lambda done: done < _ALONE)
                (sender_id,) = connection.execute(
                    "UPDATE senders SET held_at = now(), next_probe_at = now() RETURNING id"
                ).fetchone() or (uuid4(),)
            of_release.taken.clear()
            begun = time.perf_counter()
            waited = await releasing.holds.release_sender(sender_id, world.user_id)
            answered = time.perf_counter() - begun
            waking = asyncio.create_task(releasing.waking.wake())
            await beside.go_on(
                others, people, lambda done: not waking.done() and done < _BESIDE_MOST
            )
            woken = await waking
            seconds = time.perf_counter() - begun
    print(f"{waited:,} waited; the release was answered after {1000 * answered:.0f} ms,")
    print(f"and {woken:,} more were woken in the background, all of them within {seconds:.1f} s")
    figure: Figure = {
        "figure": "release",
        "held": waited,
        "answered_ms": round(1000 * answered, 1),
        "seconds": round(seconds, 2),
    }
    for name, times in (
        ("transaction", of_release),
        ("stop_alone", alone.stops),
        ("stop_beside", beside.stops),
        ("text_alone", alone.sends),
        ("text_beside", beside.sends),
    ):
        print(f"{name.replace('_', ' '):24}{times.told()}")
        figure[f"{name}_p50_ms"] = round(statistics.median(times.taken), 1)
        figure[f"{name}_longest_ms"] = round(max(times.taken), 1)
    return [figure]


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows: what a release costs, and what happens beside it."""
    [one] = figures
    return [
        Row(f"{one['held']:,} released, answered", one["answered_ms"], "ms"),
        Row("all of them woken", one["held"] / one["seconds"], "/s"),
        Row(
            "a STOP beside it, longest",
            one["stop_beside_longest_ms"],
            "ms",
            one["stop_alone_longest_ms"],
        ),
        Row(
            "a text begun beside it, longest",
            one["text_beside_longest_ms"],
            "ms",
            one["text_alone_longest_ms"],
        ),
    ]


if __name__ == "__main__":
    command.run(
        "bench.release",
        __doc__,
        measure,
        rows,
        {"held": (100_000, "who wait for the sender")},
    )
