"""Unavailable parts, as pages show them: cached, refreshed in the background."""

import asyncio
from typing import cast

import pytest

from services.maintenance.health import Availability, Part
from workflows.client import EnrollmentClient, TemporalUnavailableError


class Temporal:
    """Answers or not, with or without a worker; counts the questions."""

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


async def unavailable(availability: Availability) -> list[Part]:
    """List the unavailable parts once they are refreshed."""
    availability.away()
    if availability._asking is not None:
        await availability._asking
    return list(availability.away())


async def test_no_part_is_unavailable(availability: Availability) -> None:
    assert await unavailable(availability) == []


async def test_unreachable_temporal_is_unavailable(
    availability: Availability, temporal: Temporal
) -> None:
    temporal.answers = False

    assert await unavailable(availability) == [Part.TEMPORAL]


async def test_worker_is_unavailable_when_none_polls(
    availability: Availability, temporal: Temporal
) -> None:
    temporal.is_polled = False

    assert await unavailable(availability) == [Part.WORKER]


async def test_first_page_does_not_wait_for_the_answer(
    availability: Availability, temporal: Temporal
) -> None:
    temporal.answers = False

    assert list(availability.away()) == []


async def test_availability_is_refreshed_every_few_seconds(
    availability: Availability, temporal: Temporal
) -> None:
    temporal.answers = False
    await unavailable(availability)
    temporal.answers = True
    assert [await unavailable(availability) for _ in range(5)] == [[Part.TEMPORAL]] * 5
    assert temporal.asked == 1

    await asyncio.sleep(0.25)

    # The old answer until the new one is there.
    assert list(availability.away()) == [Part.TEMPORAL]
    assert await unavailable(availability) == []
    assert temporal.asked == 2
