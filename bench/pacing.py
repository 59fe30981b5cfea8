"""`python -m bench.pacing`: whether texts that cannot go delay a sender's due texts.

A sender of one text a second gets due texts: alone, behind enrollments of a paused sequence of the
same sender, and behind texts with unknown outcomes. Each case has its own sender, in one run on
one machine, so the ratios hold while its speed does; seconds are that machine's.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from sqlalchemy import text

from bench import command, runs, stack
from bench.table import Aim, Figure, Row
from services.factory import Services

UNKNOWN, PAUSED = 30, 40
_POLL_SECONDS = 0.05
_GIVE_UP_SECONDS = 600
_COME_DUE_SECONDS = 3
"""The time until the obstacle's enrollments are due and their workflows ask to send."""

Obstacle = Callable[[Services, UUID, UUID], Awaitable[None]]


async def measure(rounds: int, texts: int) -> list[Figure]:
    """Measure all cases in turns, so many times."""
    took: dict[str, list[float]] = {}
    async with stack.started() as (servers, _, services):
        with servers.program("worker", "worker"):
            user_id = (await runs.found_world(services)).user_id
            await _fresh_texts(services, user_id, _nothing, texts)  # warms up
            for _ in range(rounds):
                for name, obstacle in _OBSTACLES.items():
                    seconds = await _fresh_texts(services, user_id, obstacle, texts)
                    took.setdefault(name, []).append(seconds)
                    print(f"{texts} texts {name}: {seconds:.1f} s", flush=True)
    return [
        {"figure": name, "texts": texts, "seconds": statistics.median(seconds)}
        for name, seconds in took.items()
    ]


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows: each case beside that of a sender with nothing else to send."""
    alone = figures[0]["seconds"]
    return [
        Row(
            f"{figure['texts']} texts at 1 a second, {figure['figure']}",
            figure["seconds"],
            "s",
            None if number == 0 else alone,
            None if number == 0 else Aim(1.1, "ratio"),
        )
        for number, figure in enumerate(figures)
    ]


async def _fresh_texts(services: Services, user_id: UUID, obstacle: Obstacle, texts: int) -> float:
    """Return the seconds from enrolling to the last text accepted, for a new sender."""
    sender_id = await runs.add_sender(services, texts_per_second=1)
    await obstacle(services, sender_id, user_id)
    sequence_id = await runs.add_sequence(services, user_id, sender_id, [0])
    contacts = await runs.add_contacts(services, texts)
    begun = time.perf_counter()
    await services.enrolling.enroll(sequence_id, user_id, contact_ids=contacts)
    await services.outbox.drain()
    async with asyncio.timeout(_GIVE_UP_SECONDS):
        while await _accepted(services, sequence_id) < texts:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_POLL_SECONDS)
    return time.perf_counter() - begun


async def _nothing(_services: Services, _sender_id: UUID, _user_id: UUID) -> None:
    """Put nothing before the fresh texts."""


async def _paused(services: Services, sender_id: UUID, user_id: UUID) -> None:
    """Put due enrollments of a paused sequence before the fresh texts."""
    sequence_id = await runs.add_sequence(services, user_id, sender_id, [0])
    await services.sequences.pause(sequence_id)
    await services.enrolling.enroll(
        sequence_id, user_id, contact_ids=await runs.add_contacts(services, PAUSED)
    )
    await services.outbox.drain()
    await asyncio.sleep(_COME_DUE_SECONDS)


async def _unknown(services: Services, sender_id: UUID, user_id: UUID) -> None:
    """Put texts with unknown outcomes, being reconciled, before the fresh texts."""
    sequence_id = await runs.add_sequence(services, user_id, sender_id, [0])
    contacts = await runs.add_contacts(services, UNKNOWN)
    await services.enrolling.enroll(sequence_id, user_id, contact_ids=contacts)
    async with services.database.transaction() as tx:
        await tx.execute(
            text(
                """
                WITH sent AS (
                    INSERT INTO messages (id, direction, contact_id, phone, sender_id,
                        enrollment_id, step, pass, body, media_urls, status, failed_tries)
                    SELECT gen_random_uuid(), 'outbound', c.id, c.phone, :sender_id,
                        e.id, 1, 1, 'Hi there', '[]', 'unknown', 0
                    FROM enrollments e JOIN contacts c ON c.id = e.contact_id
                    WHERE e.sequence_id = :sequence_id
                    RETURNING id
                )
                INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before)
                SELECT gen_random_uuid(), id, 1, 'unknown', now(), now() + interval '5 s' FROM sent
                """
            ),
            {"sender_id": sender_id, "sequence_id": sequence_id},
        )
    await services.outbox.drain()
    await asyncio.sleep(_COME_DUE_SECONDS)


_OBSTACLES: dict[str, Obstacle] = {
    "alone": _nothing,
    f"behind {PAUSED} people of a paused sequence": _paused,
    f"behind {UNKNOWN} unknown outcomes": _unknown,
}


async def _accepted(services: Services, sequence_id: UUID) -> int:
    async with services.database.transaction() as tx:
        found = await tx.execute(
            text("SELECT count(*) FROM enrollments WHERE sequence_id = :id AND step = 1"),
            {"id": sequence_id},
        )
        return int(found.scalar_one())


if __name__ == "__main__":
    command.run(
        "bench.pacing",
        __doc__,
        measure,
        rows,
        {
            "rounds": (1, "of all three, in turns"),
            "texts": (20, "that are due, in each case"),
        },
    )
