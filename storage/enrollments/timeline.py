"""What an enrollment's timeline tells that no other row does."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, insert

from storage.platform.database import Transaction
from storage.tables.enrollments import EnrollmentEvent


async def note(
    tx: Transaction,
    enrollment_ids: Sequence[UUID],
    kind: str,
    *,
    at: datetime | None = None,
    user_id: UUID | None = None,
    **detail: Any,  # noqa: ANN401 - codes, ids and times
) -> None:
    """Add an entry to the timelines of enrollments, dated now by the database unless ``at`` is."""
    moment = func.clock_timestamp() if at is None else at
    entries = [
        {"enrollment_id": one, "kind": kind, "user_id": user_id, "detail": detail}
        for one in enrollment_ids
    ]
    if entries:
        await tx.execute(insert(EnrollmentEvent).values(at=moment), entries)
