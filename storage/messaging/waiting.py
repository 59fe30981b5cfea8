"""The counts of what waits for a person."""

from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, Interval, Select, Uuid, bindparam, func, or_, select
from sqlmodel import col

from storage.messaging import inbox, unknown_numbers
from storage.platform.database import Transaction
from storage.tables.contacts import Contact
from storage.tables.suppression import Review


class Waiting(NamedTuple):
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

_COUNTS = select(
    _counted(inbox.needing_reply(_OWNER, _AGE)).scalar_subquery().label("conversations"),
    _counted(unknown_numbers.needing_reply(_AGE)).scalar_subquery().label("numbers"),
    _counted(select(col(Review.message_id)).where(col(Review.decision).is_(None)))
    .scalar_subquery()
    .label("reviews"),
)
"""Built once: every page asks this, and building it would take longer than its answer."""


async def count(tx: Transaction, user_id: UUID, age: timedelta, *, most: int) -> Waiting:
    """Count what waits for a user, each up to most.

    Conversations are those of the user's contacts and of nobody's. Texts older than ``age`` wait no
    longer; reviews do.
    """
    row = (await tx.run(_COUNTS, user_id=user_id, age=age, most=most)).one()
    return Waiting(*row)
