"""Queries that give many contacts an owner at once."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from storage.platform.database import Transaction, as_json


async def lock(tx: Transaction, contact_ids: Sequence[UUID]) -> dict[UUID, UUID | None]:
    """Lock contacts, by id, and read the owner of each; unknown ids are left out."""
    sql = "SELECT id, owner_id FROM contacts WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE"
    return {row.id: row.owner_id for row in await tx.run(sql, ids=contact_ids)}


async def change(tx: Transaction, owners: Mapping[UUID, UUID | None]) -> None:
    """Give locked contacts these owners."""
    sql = """
        UPDATE contacts c SET owner_id = n.owner_id, updated_at = clock_timestamp()
        FROM jsonb_to_recordset(:owners) AS n (id uuid, owner_id uuid) WHERE c.id = n.id
    """
    await tx.run(
        sql, owners=as_json([{"id": one, "owner_id": owner} for one, owner in owners.items()])
    )
