"""Statements of importing contacts: a thousand rows at once."""

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
    """Add contacts; answers those whose number was not taken, by number.

    Waits for a transaction that is about to take one of the numbers. They are written in order, so
    that two imports of the same people wait for each other instead of deadlocking.
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
    """Read rows of an upload that wait, by position, behind the one given."""
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
    """Tell who has a row of the job already."""
    rows = await tx.scalars(
        text(
            "SELECT DISTINCT subject_id FROM job_rows"
            " WHERE job_id = :job_id AND subject_id = ANY(:ids)"
        ).bindparams(bindparam("ids", type_=ARRAY(Uuid()))),
        {"job_id": job_id, "ids": list(subject_ids)},
    )
    return set(rows)
