"""What running a job tells, and the port that runs it."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class JobProgress:
    """How far work in the background is.

    Attributes:
        state: A ``JobState`` code; ``gone`` if there is no such job.
        more: Whether something is left to do.
        acted: How many rows were acted on just now.
        done: How many rows have their result.
        total: How many rows there are.
    """

    state: str
    more: bool
    acted: int = 0
    done: int = 0
    total: int = 0


class JobRunner(Protocol):
    """The use case behind work in the background."""

    async def run_chunk(self, job_id: UUID, *, tries: int = 1) -> JobProgress:
        """Act on the next rows; each row is acted on once, however often this is called."""
        ...
