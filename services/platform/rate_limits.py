"""How often something may be done: counted in PostgreSQL, for all processes together."""

import math
from datetime import timedelta

from domain.platform.errors import SegueError
from storage.platform import rate_limits
from storage.platform.database import Database, Transaction


class TooManyRequestsError(SegueError):
    """Something was asked for too often.

    Attributes:
        retry_after: After how long it may be tried again.
    """

    code = "too_many_requests"

    def __init__(self, reason: str, retry_after: timedelta) -> None:
        self.retry_after = retry_after
        seconds = self.retry_after_seconds
        unit = "second" if seconds == 1 else "seconds"
        super().__init__(f"{reason}; try again in {seconds} {unit}")

    @property
    def retry_after_seconds(self) -> int:
        """The wait in whole seconds, at least one."""
        return max(1, math.ceil(self.retry_after.total_seconds()))


async def take(
    place: Transaction | Database, key: str, cost: int, most: int, window: timedelta
) -> None:
    """Count something that is about to be done.

    Spans begin at multiples of the window, so twice the most can be done around their border.
    Inside a transaction, what is rolled back is not counted, and whoever takes the same key waits
    until it ends.

    Args:
        place: The transaction to count in; or the database, to count whatever comes of it.
        key: What is limited and for whom; no e-mail address in plain text.
        cost: How many are done.
        most: How many there may be in one span.
        window: How long a span is; at most a day, for older counts are swept away.

    Raises:
        TooManyRequestsError: It would be too many; nothing was counted.
    """
    if isinstance(place, Database):
        async with place.transaction() as tx:
            wait = await rate_limits.take(tx, key, cost, most, window)
    else:
        wait = await rate_limits.take(place, key, cost, most, window)
    if wait is not None:
        span = int(window.total_seconds())
        raise TooManyRequestsError(f"at most {most} of these are taken in {span} seconds", wait)
