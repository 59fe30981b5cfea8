"""What holds for everyone: one row, which may not be there yet."""

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
"""SQL: shares the zone; see ``hold_zone``."""


@dataclass(frozen=True)
class WorkspaceRow:
    """The settings people can change.

    Attributes:
        time_zone: IANA name; None where the settings of the process decide.
        hour_cycle: 12 or 24.
        moving_from: The zone that steps which wait may still go by, until all have moved.
    """

    time_zone: str | None
    hour_cycle: int
    moving_from: str | None


async def read(tx: Transaction) -> WorkspaceRow:
    """What is set, or what is so until somebody sets something."""
    row = (
        await tx.execute(
            select(
                col(Workspace.time_zone), col(Workspace.hour_cycle), col(Workspace.moving_from)
            ).where(col(Workspace.id) == 1)
        )
    ).one_or_none()
    return WorkspaceRow(None, 12, None) if row is None else WorkspaceRow(*row)


async def zone(tx: Transaction, fallback: str) -> str:
    """The workspace's time zone; ``fallback`` is the one of the process's settings.

    A change of it finds what this transaction writes by it: see ``hold_zone``.
    """
    await hold_zone(tx)
    return (await read(tx)).time_zone or fallback


async def hold_zone(tx: Transaction) -> None:
    """Have ``wait_for_holders`` wait for this transaction; call it before the zone is read.

    ``storage.platform.locks`` says when in a transaction.
    """
    await tx.execute(text(f"SELECT {HOLD_ZONE}"))


async def wait_for_holders(tx: Transaction) -> None:
    """Wait until what was written by a zone read before now is committed.

    In a transaction of its own, which holds nothing that those could wait for.
    """
    await tx.execute(text("SELECT pg_advisory_xact_lock(1, 1)"))


async def end_move(tx: Transaction, row: WorkspaceRow) -> None:
    """Note that all steps go by the zone of this row, unless it has changed once more."""
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
    """Set some of it, by column name; whoever changes it at the same time waits."""
    await tx.execute(
        insert(Workspace)
        .values(id=1, **values)
        .on_conflict_do_update(index_elements=["id"], set_={"id": 1, **values})
    )


class WaitingContact(NamedTuple):
    """A contact with steps that wait."""

    contact_id: UUID
    phone: str


async def waiting_without_zone(
    tx: Transaction, *, after: UUID | None, limit: int
) -> list[WaitingContact]:
    """Contacts with steps that wait whose zone nobody gave: it may depend on the workspace's."""
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
