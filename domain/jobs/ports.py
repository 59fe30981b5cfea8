"""A job's progress, and the port that runs jobs."""

from dataclasses import dataclass
from typing import Protocol
from uuid import UUID


@dataclass(frozen=True)
class JobProgress:
    """How far a job is.

    Attributes:
        state: A ``JobState`` code; ``gone`` if there is no such job.
        acted: Rows that this chunk acted on.
        done: Rows that have their result.
    """

    state: str
    more: bool
    acted: int = 0
    done: int = 0
    total: int = 0


class JobRunner(Protocol):
    """Runs jobs."""

    async def run_chunk(self, job_id: UUID, *, tries: int = 1) -> JobProgress:
        """Act on the next rows; each row is acted on once, however often this is called."""
        ...
