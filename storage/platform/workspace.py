"""The workspace's settings: one row, which may not exist yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.platform.database import Transaction
from storage.tables.platform import Workspace

ZONE_SQL = "(SELECT w.time_zone FROM workspace w WHERE w.id = 1)"
"""SQL: the workspace's time zone, null where the settings of the process decide."""

HOLD_ZONE = "pg_advisory_xact_lock_shared(1, 1)"
"""SQL: share the zone; see ``hold_zone``."""


@dataclass(frozen=True)
class WorkspaceRow:
    """The settings people can change.

    Attributes:
        time_zone: IANA name; None where the settings of the process decide.
        hour_cycle: 12 or 24.
        moving_from: The zone that waiting steps may still go by, until all are rescheduled.
    """

    time_zone: str | None
    hour_cycle: int
    moving_from: str | None


async def read(tx: Transaction) -> WorkspaceRow:
    """Read the settings, or their defaults."""
    row = (
        await tx.execute(
            select(
                col(Workspace.time_zone), col(Workspace.hour_cycle), col(Workspace.moving_from)
            ).where(col(Workspace.id) == 1)
        )
    ).one_or_none()
    return WorkspaceRow(None, 12, None) if row is None else WorkspaceRow(*row)


async def zone(tx: Transaction, fallback: str) -> str:
    """Read the time zone, ``fallback`` if it is not set, and hold it: see ``hold_zone``."""
    await hold_zone(tx)
    return (await read(tx)).time_zone or fallback


async def hold_zone(tx: Transaction) -> None:
    """Make ``wait_for_holders`` wait for this transaction; call it before reading the zone.

    For its place among the locks see ``storage.platform.locks``.
    """
    await tx.execute(text(f"SELECT {HOLD_ZONE}"))


async def wait_for_holders(tx: Transaction) -> None:
    """Wait until everybody who has read the zone so far has committed.

    Call it in a transaction that holds nothing else.
    """
    await tx.execute(text("SELECT pg_advisory_xact_lock(1, 1)"))


async def end_move(tx: Transaction, row: WorkspaceRow) -> None:
    """Note that all steps go by this row's zone, unless it has changed again."""
    await tx.execute(
        text(
            """
            UPDATE workspace SET moving_from = NULL
            WHERE moving_from = :moving_from AND time_zone IS NOT DISTINCT FROM :time_zone
            """
        ),
        {"moving_from": row.moving_from, "time_zone": row.time_zone},
    )


async def change(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Change columns; concurrent changes wait."""
    await tx.execute(
        insert(Workspace)
        .values(id=1, **values)
        .on_conflict_do_update(index_elements=["id"], set_={"id": 1, **values})
    )


class WaitingContact(NamedTuple):
    """A contact with waiting steps."""

    contact_id: UUID
    phone: str


async def waiting_without_zone(
    tx: Transaction, *, after: UUID | None, limit: int
) -> list[WaitingContact]:
    """List contacts with waiting steps and no zone of their own, which may take the workspace's."""
    rows = await tx.execute(
        text(
            """
            SELECT c.id, c.phone FROM contacts c
            WHERE c.time_zone IS NULL AND EXISTS (
                SELECT FROM enrollments e WHERE e.contact_id = c.id
                AND e.status = 'active' AND e.activity = 'waiting'
            )
            AND (CAST(:after AS uuid) IS NULL OR c.id > CAST(:after AS uuid))
            ORDER BY c.id LIMIT :limit
            """
        ),
        {"after": after, "limit": limit},
    )
    return [WaitingContact(*row) for row in rows]
