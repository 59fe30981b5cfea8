"""Queries of contact imports."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from typing import Any
from uuid import UUID

from storage.jobs.jobs import OpenRow
from storage.platform.database import Transaction, as_json


async def insert(tx: Transaction, contacts: Many[Mapping[str, Any]]) -> dict[str, UUID]:
    """Insert contacts, and give the ids of those whose number was free, by number.

    Waits for transactions that are about to take one of the numbers. The order of insertion keeps
    two imports of the same contacts from deadlocking.
    """
    if not contacts:
        return {}
    sql = """
        INSERT INTO contacts (id, first_name, last_name, phone, time_zone, line_type)
        SELECT gen_random_uuid(), coalesce(first_name, ''), coalesce(last_name, ''), phone,
            time_zone, line_type
        FROM jsonb_to_recordset(:contacts) AS new(
            first_name text, last_name text, phone text, time_zone text, line_type text
        )
        ORDER BY phone
        ON CONFLICT (phone) DO NOTHING
        RETURNING phone, id
    """
    rows = await tx.run(sql, contacts=as_json(contacts))
    return {row.phone: row.id for row in rows}


async def received_rows(tx: Transaction, job_id: UUID, *, after: int, limit: int) -> list[OpenRow]:
    """Read open rows of an upload by position, after the one given."""
    sql = """
        SELECT position, subject_id, detail FROM job_rows
        WHERE job_id = :job_id AND code IS NULL AND position > :after
        ORDER BY position LIMIT :limit
    """
    return await tx.rows(OpenRow, sql, job_id=job_id, after=after, limit=limit)


async def named_before(tx: Transaction, job_id: UUID, subject_ids: Many[UUID]) -> set[UUID]:
    """Find which contacts have a row of the job already."""
    sql = """
        SELECT DISTINCT subject_id FROM job_rows
        WHERE job_id = :job_id AND subject_id = ANY(:ids)
    """
    return set(await tx.column(sql, job_id=job_id, ids=subject_ids))
