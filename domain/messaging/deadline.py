"""A moment after which something must not begin, by clocks that fail in different ways."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self

_BOOT_CLOCK: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""Counts the time a machine was suspended: on Linux BOOTTIME does, on macOS MONOTONIC
(clock_gettime(2) of either system); Windows has no such clock."""


def _since_boot() -> float:
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)


@dataclass(frozen=True)
class Clocks:
    """The clocks of this machine, each read in seconds.

    Attributes:
        monotonic: Never steps; stands still while the machine is suspended.
        boot: Never steps and counts suspension; stands still while a hypervisor pauses the machine.
        wall: Is set right after any pause, but also steps when somebody sets it.
    """

    monotonic: Callable[[], float] = time.monotonic
    boot: Callable[[], float] = _since_boot
    wall: Callable[[], float] = time.time

    def read(self) -> tuple[float, float, float]:
        """Read all clocks."""
        return self.monotonic(), self.boot(), self.wall()


@dataclass(frozen=True)
class Deadline:
    """A moment of this process after which something must not begin, by each of the clocks."""

    moments: tuple[float, float, float]
    clocks: Clocks = field(default_factory=Clocks, repr=False, compare=False)

    @classmethod
    def within(cls, time_left: timedelta, clocks: Clocks | None = None) -> Self:
        """Return the moment that comes after `time_left` from now."""
        clocks = clocks or Clocks()
        monotonic, boot, wall = clocks.read()
        seconds = time_left.total_seconds()
        return cls((monotonic + seconds, boot + seconds, wall + seconds), clocks)

    @property
    def is_late(self) -> bool:
        """Whether any of the clocks has passed it: too late by mistake is harmless."""
        return any(
            now > moment for now, moment in zip(self.clocks.read(), self.moments, strict=True)
        )
