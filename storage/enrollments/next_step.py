"""Which text of an enrollment comes next, and what times it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.statuses.sequences import ReplyPolicy
from storage.platform.database import Transaction
from storage.platform.locks import SHARE_SEQUENCE
from storage.platform.workspace import HOLD_ZONE, ZONE_SQL


@dataclass(frozen=True)
class NextStep:
    """Where the next text of an enrollment stands in its version, and what times it."""

    position: int
    delay_seconds: int | None
    at_time: Any
    send_at: datetime | None
    time_zone: str | None
    phone: str
    send_window: Mapping[str, Sequence[str]] | None
    reply_window_seconds: int
    on_reply: ReplyPolicy
    workspace_zone: str | None = None


_NEXT_PLACE = text(
    f"""
    SELECT e.step_count, t.position, t.delay_seconds, t.at_time, t.send_at, c.time_zone, c.phone,
        q.send_window, q.reply_window_seconds, q.on_reply, {ZONE_SQL} AS workspace_zone
    FROM enrollments e
    JOIN contacts c ON c.id = e.contact_id
    JOIN sequences q ON q.id = e.sequence_id
    LEFT JOIN LATERAL (
        SELECT s.* FROM steps s
        WHERE s.version_id = e.version_id AND s.position >= :start AND (
            s.position > :reached OR NOT EXISTS (
                SELECT 1 FROM messages m JOIN attempts a ON a.message_id = m.id
                WHERE m.enrollment_id = e.id AND m.step = s.position AND m.pass = e.pass
                AND a.outcome IN ('accepted', 'assumed_sent') AND NOT a.reported_failed
            )
        )
        ORDER BY s.position LIMIT 1
    ) t ON true
    WHERE e.id = :id
    """  # noqa: S608 - built from constants
)


_HOLD = text(
    f"""
    SELECT {HOLD_ZONE}, {SHARE_SEQUENCE.format(id="sequence_id")} FROM enrollments WHERE id = :id
    """  # noqa: S608 - built from constants
)


async def hold(tx: Transaction, enrollment_id: UUID) -> None:
    """Keep from changing what times an enrollment; before any enrollment is locked."""
    await tx.execute(_HOLD, {"id": enrollment_id})


async def next_place(tx: Transaction, enrollment_id: UUID, *, start: int, reached: int) -> NextStep:
    """Find the next step without an accepted text.

    Args:
        tx: The transaction, which has called ``hold``.
        enrollment_id: Whose.
        start: Look from this position on.
        reached: Steps up to this one may have been accepted already.
    """
    asked = {"id": enrollment_id, "start": start, "reached": reached}
    row = (await tx.execute(_NEXT_PLACE, asked)).one()
    return NextStep(
        position=row.position or row.step_count + 1,
        delay_seconds=row.delay_seconds,
        at_time=row.at_time,
        send_at=row.send_at,
        time_zone=row.time_zone,
        phone=row.phone,
        send_window=row.send_window,
        reply_window_seconds=row.reply_window_seconds,
        on_reply=ReplyPolicy(row.on_reply),
        workspace_zone=row.workspace_zone,
    )
