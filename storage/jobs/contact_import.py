"""Queries of contact imports."""

import json
from collections.abc import Mapping
from collections.abc import Sequence as Many
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from storage.jobs.jobs import OpenRow
from storage.platform.database import Transaction


async def insert(tx: Transaction, contacts: Many[Mapping[str, Any]]) -> dict[str, UUID]:
    """Insert contacts, and give the ids of those whose number was free, by number.

    Waits for transactions that are about to take one of the numbers. The order of insertion keeps
    two imports of the same contacts from deadlocking.
    """
    if not contacts:
        return {}
    rows = await tx.execute(
        text(
            """
            INSERT INTO contacts (id, first_name, last_name, phone, time_zone, line_type)
            SELECT gen_random_uuid(), coalesce(first_name, ''), coalesce(last_name, ''), phone,
                time_zone, line_type
            FROM json_to_recordset(CAST(:contacts AS json)) AS new(
                first_name text, last_name text, phone text, time_zone text, line_type text
            )
            ORDER BY phone
            ON CONFLICT (phone) DO NOTHING
            RETURNING phone, id
            """
        ),
        {"contacts": json.dumps([dict(one) for one in contacts])},
    )
    return {row.phone: row.id for row in rows}


async def received_rows(tx: Transaction, job_id: UUID, *, after: int, limit: int) -> list[OpenRow]:
    """Read open rows of an upload by position, after the one given."""
    rows = await tx.execute(
        text(
            """
            SELECT position, subject_id, detail FROM job_rows
            WHERE job_id = :job_id AND code IS NULL AND position > :after
            ORDER BY position LIMIT :limit
            """
        ),
        {"job_id": job_id, "after": after, "limit": limit},
    )
    return [OpenRow(*row) for row in rows]


async def named_before(tx: Transaction, job_id: UUID, subject_ids: Many[UUID]) -> set[UUID]:
    """Find which contacts have a row of the job already."""
    rows = await tx.scalars(
        text(
            "SELECT DISTINCT subject_id FROM job_rows"
            " WHERE job_id = :job_id AND subject_id = ANY(:ids)"
        ).bindparams(bindparam("ids", type_=ARRAY(Uuid()))),
        {"job_id": job_id, "ids": list(subject_ids)},
    )
    return set(rows)
