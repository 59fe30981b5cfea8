"""Queries of contact imports."""

from collections.abc import Collection
from uuid import UUID

from storage.jobs.jobs import OpenRow
from storage.platform.database import Transaction


async def received_rows(tx: Transaction, job_id: UUID, *, after: int, limit: int) -> list[OpenRow]:
    """Read open rows of an upload by position, after the one given."""
    sql = """
        SELECT position, subject_id, detail FROM job_rows
        WHERE job_id = :job_id AND code IS NULL AND position > :after
        ORDER BY position LIMIT :limit
    """
    return await tx.rows(OpenRow, sql, job_id=job_id, after=after, limit=limit)


async def named_before(tx: Transaction, job_id: UUID, subject_ids: Collection[UUID]) -> set[UUID]:
    """Find which contacts have a row of the job already."""
    sql = """
        SELECT DISTINCT subject_id FROM job_rows
        WHERE job_id = :job_id AND subject_id = ANY(:ids)
    """
    return set(await tx.column(sql, job_id=job_id, ids=subject_ids))
