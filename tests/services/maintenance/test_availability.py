"""What is away, as pages are told: soon, never waited for, asked seldom."""

import asyncio
from typing import cast

import pytest

from services.maintenance.availability import Part, Presence
from workflows.client import EnrollmentClient, TemporalUnavailableError


class Temporal:
    """Is there, has a worker, or not; counts how often it is asked."""

    def __init__(self) -> None:
        self.answers = True
        self.is_polled = True
        self.asked = 0

    async def worker_polls(self) -> bool:
        self.asked += 1
        await asyncio.sleep(0)
        if not self.answers:
            raise TemporalUnavailableError("UNAVAILABLE")
        return self.is_polled


@pytest.fixture
def temporal() -> Temporal:
    return Temporal()


@pytest.fixture
def presence(temporal: Temporal, monkeypatch: pytest.MonkeyPatch) -> Presence:
    monkeypatch.setattr("services.maintenance.availability._KNOWN_SECONDS", 0.2)
    return Presence(cast("EnrollmentClient", temporal))


async def told(presence: Presence) -> list[Part]:
    """What is said once the answer to the question is there."""
    presence.away()
    if presence._asking is not None:
        await presence._asking
    return list(presence.away())


async def test_nothing_is_away(presence: Presence) -> None:
    assert await told(presence) == []


async def test_temporal_is_away(presence: Presence, temporal: Temporal) -> None:
    temporal.answers = False

    assert await told(presence) == [Part.TEMPORAL]


async def test_no_worker_polls(presence: Presence, temporal: Temporal) -> None:
    temporal.is_polled = False

    assert await told(presence) == [Part.WORKER]


async def test_the_first_page_does_not_wait(presence: Presence, temporal: Temporal) -> None:
    temporal.answers = False

    assert list(presence.away()) == []


async def test_pages_ask_once_in_a_while_and_learn_that_it_is_back(
    presence: Presence, temporal: Temporal
) -> None:
    temporal.answers = False
    await told(presence)
    temporal.answers = True
    assert [await told(presence) for _ in range(5)] == [[Part.TEMPORAL]] * 5
    assert temporal.asked == 1

    await asyncio.sleep(0.25)

    assert list(presence.away()) == [Part.TEMPORAL]  # as of then; it is being asked
    assert await told(presence) == []
    assert temporal.asked == 2
