"""The counts of what waits for a person."""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Interval, Select, Uuid, bindparam, func, or_, select
from sqlmodel import col

from storage.messaging import inbox, unknown_numbers
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.tables.contacts import Contact
from storage.tables.suppression import Review


class WaitingCounts(NamedTuple):
    """How much waits: conversations and unknown numbers that need a reply, open reviews."""

    conversations: int
    numbers: int
    reviews: int

    @property
    def replies(self) -> int:
        """Conversations and numbers that need a reply."""
        return self.conversations + self.numbers


def _counted(some: Select[Any]) -> Select[int]:
    return select(func.count()).select_from(some.limit(bindparam("most", type_=Integer)).subquery())


_OWNER = or_(col(Contact.owner_id) == bindparam("user_id", type_=Uuid), inbox.is_nobodys())
_AGE = bindparam("age", type_=Interval)

COUNTS = (
    _counted(inbox.needing_reply(_OWNER, _AGE)).scalar_subquery().label("conversations"),
    _counted(unknown_numbers.needing_reply(_AGE)).scalar_subquery().label("numbers"),
    _counted(select(col(Review.message_id)).where(col(Review.decision).is_(None)))
    .scalar_subquery()
    .label("reviews"),
)
"""The columns of ``WaitingCounts``, given the ``user_id``, the ``age`` and the ``most``."""

_COUNTS = Fixed(select(*COUNTS))


async def count(tx: Transaction, user_id: UUID, age: timedelta, *, most: int) -> WaitingCounts:
    """Count what waits for a user, each up to most.

    Conversations are those of the user's contacts and of nobody's. Texts older than ``age`` wait no
    longer; reviews do.
    """
    row = (await tx.run(_COUNTS, user_id=user_id, age=age, most=most)).one()
    return WaitingCounts(*row)
