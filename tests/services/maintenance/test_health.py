"""What is away, as pages are told: soon, never waited for, asked seldom."""

import asyncio
from typing import cast

import pytest

from services.maintenance.health import Availability, Part
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
def availability(temporal: Temporal, monkeypatch: pytest.MonkeyPatch) -> Availability:
    monkeypatch.setattr("services.maintenance.health._FRESH_SECONDS", 0.2)
    return Availability(cast("EnrollmentClient", temporal))


async def told(availability: Availability) -> list[Part]:
    """What is said once the answer to the question is there."""
    availability.away()
    if availability._asking is not None:
        await availability._asking
    return list(availability.away())


async def test_nothing_is_away(availability: Availability) -> None:
    assert await told(availability) == []


async def test_temporal_is_away(availability: Availability, temporal: Temporal) -> None:
    temporal.answers = False

    assert await told(availability) == [Part.TEMPORAL]


async def test_no_worker_polls(availability: Availability, temporal: Temporal) -> None:
    temporal.is_polled = False

    assert await told(availability) == [Part.WORKER]


async def test_the_first_page_does_not_wait(availability: Availability, temporal: Temporal) -> None:
    temporal.answers = False

    assert list(availability.away()) == []


async def test_availability_is_refreshed_every_few_seconds(
    availability: Availability, temporal: Temporal
) -> None:
    temporal.answers = False
    await told(availability)
    temporal.answers = True
    assert [await told(availability) for _ in range(5)] == [[Part.TEMPORAL]] * 5
    assert temporal.asked == 1

    await asyncio.sleep(0.25)

    assert list(availability.away()) == [Part.TEMPORAL]  # as of then; it is being asked
    assert await told(availability) == []
    assert temporal.asked == 2
