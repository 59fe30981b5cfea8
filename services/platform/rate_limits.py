"""Rate limits: counted in PostgreSQL, for all processes together."""

import math
from contextlib import nullcontext
from datetime import timedelta

from domain.platform.errors import SegueError
from storage.platform import rate_limits
from storage.platform.database import Database, Transaction


class TooManyRequestsError(SegueError):
    """Something was tried too often.

    Attributes:
        quota: How many are taken in a window of how many seconds; None where the wait grows.
    """

    code = "too_many_requests"

    def __init__(
        self, reason: str, retry_after: timedelta, quota: tuple[int, int] | None = None
    ) -> None:
        self.retry_after = retry_after
        self.quota = quota
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
    """Count ``cost`` actions that are about to be done, of ``most`` in a window of at most a day.

    Windows begin at multiples of their length, so twice ``most`` can be done around a border. In a
    transaction, what is rolled back is not counted, and others who take the same key wait; given
    the database, it is counted whatever comes of it. The key says what is limited and for whom, no
    email address in plain text.

    Raises:
        TooManyRequestsError: It would be too many; nothing was counted.
    """
    own = place.transaction() if isinstance(place, Database) else nullcontext(place)
    async with own as tx:
        wait = await rate_limits.take(tx, key, cost, most, window)
    if wait is not None:
        span = int(window.total_seconds())
        reason = f"the limit is {most} in {span} seconds"
        raise TooManyRequestsError(reason, wait, (most, span))
