"""No metastable overload: a late send writes nothing, and load ends with its cause."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from temporalio.exceptions import ApplicationError

from activities import sending
from domain.statuses.enrollment_state import EnrollmentState
from services.messaging.sending import Sending
from storage.platform.database import Database, Pools
from tests.kits.sending import SendingKit

CONNECTIONS = 2
CROWD = 20
"""Of what else wants the connections, each for some time."""
TEXTS = 10
SATURATED = timedelta(seconds=3)
CALL_BEFORE = timedelta(seconds=1)
"""A connection is waited for longer than that while the crowd is there."""


async def saturate(database: Database, until: float) -> None:
    """Take a connection again and again."""
    while time.monotonic() < until:
        async with database.transaction() as tx:
            await tx.execute(text("SELECT pg_sleep(0.3)"))


async def send(kit: SendingKit, enrollment_id: UUID) -> None:
    """Send as Temporal does: again after each failure, until the text is sent."""
    while True:
        try:
            state = await kit.run_step(enrollment_id)
        except (ApplicationError, TimeoutError):
            await asyncio.sleep(0.1)
            continue
        if isinstance(state, EnrollmentState) and state.step == 1:
            return
        await asyncio.sleep(0)


@pytest.mark.parametrize("apart", [False, True], ids=["one pool", "pools apart"])
async def test_a_saturated_pool_costs_no_attempts_and_recovers(
    kit: SendingKit, database_url: str, monkeypatch: pytest.MonkeyPatch, *, apart: bool
) -> None:
    """Attempts written at most 1.2 times the texts sent; all are sent in the end."""
    monkeypatch.setattr(sending, "LATE_RETRY", timedelta(seconds=0.1))
    scarce = Database(database_url, connections=CONNECTIONS)
    pools = replace(Pools.one(kit.world.database), rest=scarce) if apart else Pools.one(scarce)
    kit = kit.with_rules(call_before=CALL_BEFORE)
    kit.services.sending = Sending(pools, kit.rules)
    people = await kit.enroll_many(TEXTS)
    until = time.monotonic() + SATURATED.total_seconds()
    crowd = [asyncio.create_task(saturate(scarce, until)) for _ in range(CROWD)]
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(send(kit, one) for one in people))
        sent_meanwhile = time.monotonic() < until
        await asyncio.gather(*crowd)
    finally:
        await scarce.close()
    assert len(kit.gateway.calls) == TEXTS
    attempts = [attempt for one in people for attempt in await kit.attempts(one)]
    assert len(attempts) <= 1.2 * TEXTS
    if apart:
        assert sent_meanwhile, "what has connections of its own is not kept waiting"
