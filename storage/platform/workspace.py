"""The workspace's settings: one row, which may not exist yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

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
        rule_packs: The rule packs that bind, by id; None for all.
        require_consent: The consent that texts take, by purpose; left out, none.
        texts_per_day: Most texts to one person in 24 hours; None for no limit.
    """

    time_zone: str | None
    hour_cycle: int
    moving_from: str | None
    rule_packs: tuple[str, ...] | None
    require_consent: Mapping[str, str]
    texts_per_day: int | None


async def read(tx: Transaction) -> WorkspaceRow:
    """Read the settings, or their defaults."""
    sql = """
        SELECT time_zone, hour_cycle, moving_from, rule_packs, require_consent, texts_per_day
        FROM workspace WHERE id = 1
    """
    return await tx.one(WorkspaceRow, sql) or WorkspaceRow(None, 12, None, None, {}, None)


async def zone(tx: Transaction, fallback: str) -> str:
    """Read the time zone, ``fallback`` if it is not set, and hold it: see ``hold_zone``."""
    await hold_zone(tx)
    return (await read(tx)).time_zone or fallback


async def hold_zone(tx: Transaction) -> None:
    """Make ``wait_for_holders`` wait for this transaction; call it before reading the zone.

    For its place among the locks see ``storage.platform.locks``.
    """
    await tx.run(f"SELECT {HOLD_ZONE}")


async def wait_for_holders(tx: Transaction) -> None:
    """Wait until everybody who has read the zone so far has committed.

    Call it in a transaction that holds nothing else.
    """
    await tx.run("SELECT pg_advisory_xact_lock(1, 1)")


async def end_move(tx: Transaction, row: WorkspaceRow) -> None:
    """Note that all steps go by this row's zone, unless it has changed again."""
    sql = """
        UPDATE workspace SET moving_from = NULL
        WHERE moving_from = :moving_from AND time_zone IS NOT DISTINCT FROM :time_zone
    """
    await tx.run(sql, moving_from=row.moving_from, time_zone=row.time_zone)


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
    sql = """
        SELECT c.id AS contact_id, c.phone FROM contacts c
        WHERE c.time_zone IS NULL AND EXISTS (
            SELECT FROM enrollments e WHERE e.contact_id = c.id
            AND e.status = 'active' AND e.activity = 'waiting'
        )
        AND (CAST(:after AS uuid) IS NULL OR c.id > CAST(:after AS uuid))
        ORDER BY c.id LIMIT :limit
    """
    return await tx.rows(WaitingContact, sql, after=after, limit=limit)
