"""The query of what is around every page."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select
from sqlmodel import col

from domain.access.preferences import Preference
from storage.messaging.waiting import COUNTS
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.tables.access import Preference as Chosen
from storage.tables.platform import Workspace


class FrameRow(NamedTuple):
    """The workspace's settings, what a user chose about single keys, and what waits for them."""

    time_zone: str | None
    hour_cycle: int | None
    single_keys: Mapping[str, Any] | None
    conversations: int
    numbers: int
    reviews: int


_OF_USER = col(Chosen.user_id) == bindparam("user_id")
_KEYS = col(Chosen.name) == Preference.SINGLE_KEYS.value

_FRAME = Fixed(
    select(
        select(func.max(col(Workspace.time_zone))).scalar_subquery().label("time_zone"),
        select(func.max(col(Workspace.hour_cycle))).scalar_subquery().label("hour_cycle"),
        select(col(Chosen.value)).where(_OF_USER, _KEYS).scalar_subquery().label("single_keys"),
        *COUNTS,
    )
)


async def read(tx: Transaction, user_id: UUID, age: timedelta, *, most: int) -> FrameRow:
    """Read it all at once; the counts as ``storage.messaging.waiting``."""
    row = (await tx.run(_FRAME, user_id=user_id, age=age, most=most)).one()
    return FrameRow(*row)
