"""`python -m bench.pacing`: whether texts that cannot go delay a sender's due texts.

A sender of one text a second gets due texts: alone, behind enrollments of a paused sequence of the
same sender, and behind texts with unknown outcomes. Each case has its own sender, in one run on
one machine, so the ratios hold while its speed does; seconds are that machine's.
"""

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from sqlalchemy import text
from temporalio.client import Client

from bench import runs, stack
from domain.statuses.sequences import SequenceKind
from services.factory import Services
from services.sequences.sequences import SequenceDraft, StepDraft
from workflows.client import DATA_CONVERTER

FRESH, UNKNOWN, PAUSED = 20, 30, 40
_POLL_SECONDS = 0.05
_GIVE_UP_SECONDS = 600
_COME_DUE_SECONDS = 3
"""The time until the obstacle's enrollments are due and their workflows ask to send."""

Obstacle = Callable[[Services, UUID, UUID], Awaitable[None]]


def main() -> None:
    """Measure, print, and write JSON lines if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.pacing", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures as JSON lines")
    parser.add_argument("--rounds", type=int, default=1, help="of all three, in turns")
    arguments = parser.parse_args()
    figures = asyncio.run(_measure(arguments.rounds))
    if arguments.json:
        lines = "".join(json.dumps(figure) + "\n" for figure in figures)
        arguments.json.write_text(lines)


async def _measure(rounds: int) -> list[dict[str, object]]:
    print("starting PostgreSQL, Temporal and the simulator ...", flush=True)
    took: dict[str, list[float]] = {}
    with ExitStack() as programs, stack.servers() as servers:
        async with AsyncExitStack() as closing:
            client = await Client.connect(servers.temporal, data_converter=DATA_CONVERTER)
            services = await stack.services(servers, client, closing)
            programs.enter_context(servers.program("worker", "worker"))
            user_id = (await runs.found_world(services)).user_id
            await _fresh_texts(services, user_id, _nothing)  # warms up
            for _ in range(rounds):
                for name, obstacle in _OBSTACLES.items():
                    seconds = await _fresh_texts(services, user_id, obstacle)
                    took.setdefault(name, []).append(seconds)
                    print(f"{FRESH} texts {name}: {seconds:.1f} s", flush=True)
    alone = statistics.median(took["alone"])
    figures: list[dict[str, object]] = []
    for name, all_seconds in took.items():
        seconds = statistics.median(all_seconds)
        figures.append({"figure": name, "seconds": seconds, "ratio": seconds / alone})
        print(f"{name}: median {seconds:.1f} s, {seconds / alone:.2f} times alone")
    return figures


async def _fresh_texts(services: Services, user_id: UUID, obstacle: Obstacle) -> float:
    """Return the seconds from enrolling to the last text accepted, for a new sender."""
    sender = await services.senders.create(
        {
            "name": "Bench",
            "phone": f"+1628{int(time.time() * 10) % 7_000_000 + 2_000_000}",
            "segments_per_second": Decimal(1),
        }
    )
    await services.outbox.drain()
    await obstacle(services, sender.id, user_id)
    sequence_id = await _sequence(services, sender.id, user_id)
    contacts = await runs.add_contacts(services, FRESH)
    begun = time.perf_counter()
    await services.enrolling.enroll(sequence_id, user_id, contact_ids=contacts)
    await services.outbox.drain()
    async with asyncio.timeout(_GIVE_UP_SECONDS):
        while await _accepted(services, sequence_id) < FRESH:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_POLL_SECONDS)
    return time.perf_counter() - begun


async def _nothing(_services: Services, _sender_id: UUID, _user_id: UUID) -> None:
    """Put nothing before the fresh texts."""


async def _paused(services: Services, sender_id: UUID, user_id: UUID) -> None:
    """Put due enrollments of a paused sequence before the fresh texts."""
    sequence_id = await _sequence(services, sender_id, user_id)
    await services.sequences.pause(sequence_id)
    await services.enrolling.enroll(
        sequence_id, user_id, contact_ids=await runs.add_contacts(services, PAUSED)
    )
    await services.outbox.drain()
    await asyncio.sleep(_COME_DUE_SECONDS)


async def _unknown(services: Services, sender_id: UUID, user_id: UUID) -> None:
    """Put texts with unknown outcomes, being reconciled, before the fresh texts."""
    sequence_id = await _sequence(services, sender_id, user_id)
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


async def _sequence(services: Services, sender_id: UUID, user_id: UUID) -> UUID:
    """Create an active sequence with one text, due at once."""
    draft = SequenceDraft(
        name="Bench",
        sender_id=sender_id,
        kind=SequenceKind.ONGOING,
        steps=[StepDraft("Hi {{first_name|there}}", delay_seconds=0)],
        send_window=None,
    )
    sequence = await services.sequences.create(draft, user_id)
    await services.sequences.activate(sequence.id)
    return sequence.id


async def _accepted(services: Services, sequence_id: UUID) -> int:
    async with services.database.transaction() as tx:
        found = await tx.execute(
            text("SELECT count(*) FROM enrollments WHERE sequence_id = :id AND step = 1"),
            {"id": sequence_id},
        )
        return int(found.scalar_one())


if __name__ == "__main__":
    main()
