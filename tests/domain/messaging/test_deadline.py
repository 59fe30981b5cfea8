"""A deadline passes by whichever clock goes on, whatever the others do."""

from dataclasses import dataclass
from datetime import timedelta

import pytest

from domain.messaging.deadline import Clocks, Deadline

FIVE_SECONDS = timedelta(seconds=5)


@dataclass
class Hands:
    """Three clocks that a test sets."""

    monotonic: float = 100
    boot: float = 200
    wall: float = 1_800_000_000

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.monotonic, lambda: self.boot, lambda: self.wall)


@pytest.mark.parametrize("clock", ["monotonic", "boot", "wall"])
def test_any_clock_alone_makes_it_late(clock: str) -> None:
    hands = Hands()
    deadline = Deadline.within(FIVE_SECONDS, hands.clocks)

    setattr(hands, clock, getattr(hands, clock) + 5)
    assert not deadline.is_late

    setattr(hands, clock, getattr(hands, clock) + 0.001)
    assert deadline.is_late


def test_a_clock_set_back_does_not_make_up_for_another() -> None:
    hands = Hands()
    deadline = Deadline.within(FIVE_SECONDS, hands.clocks)

    hands.monotonic += 6
    hands.wall -= 3_600

    assert deadline.is_late


def test_this_machines_clocks_go_on() -> None:
    assert not Deadline.within(timedelta(minutes=1)).is_late
    assert Deadline.within(timedelta(0)).is_late
