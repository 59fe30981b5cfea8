"""Queries of files that a person looks through before they are imported."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from domain.contacts.names import ContactName
from domain.statuses.contacts import OtherName
from domain.statuses.jobs import JobKind
from storage.platform.database import Transaction


class BadRow(NamedTuple):
    """A row that cannot be imported: its line, its cells by column, and the errors in it."""

    line: int
    cells: Mapping[str, str]
    errors: tuple[Mapping[str, str], ...]


class NamedRow(NamedTuple):
    """A row whose number is that of a contact with another name.

    Its line, its cells by column, the contact, and what is to be done with it.
    """

    line: int
    cells: Mapping[str, str]
    contact: ContactName
    choice: OtherName


class WaitingFile(NamedTuple):
    """A file that waits for its user; ``total`` is the number of its rows."""

    id: UUID
    total: int
    created_at: datetime


async def waiting(tx: Transaction, kind: JobKind, user_id: UUID, limit: int) -> list[WaitingFile]:
    """List a user's files that are not imported yet, the newest first."""
    sql = """
        SELECT id, total, created_at FROM jobs
        WHERE user_id = :user_id AND kind = :kind AND state = 'receiving'
        AND jsonb_exists(params, 'matching')
        ORDER BY created_at DESC LIMIT :limit
    """
    return await tx.rows(WaitingFile, sql, user_id=user_id, kind=kind.value, limit=limit)


async def sample(tx: Transaction, upload_id: UUID, limit: int) -> list[Mapping[str, str]]:
    """Read the cells of a file's first rows."""
    sql = """
        SELECT detail FROM job_rows WHERE job_id = :id ORDER BY position LIMIT :limit
    """
    return await tx.column(sql, id=upload_id, limit=limit)


async def copy_rows(tx: Transaction, upload_id: UUID, check_id: UUID) -> None:
    """Give a check the rows of a file, and count them."""
    sql = """
        INSERT INTO job_rows (job_id, position, detail)
        SELECT :check_id, position, detail FROM job_rows WHERE job_id = :upload_id
    """
    copied = await tx.count(sql, check_id=check_id, upload_id=upload_id)
    await tx.run("UPDATE jobs SET total = :total WHERE id = :id", id=check_id, total=copied)


async def discard_check(tx: Transaction, check_id: UUID) -> None:
    """Delete a check that another takes the place of; one under way stays, as a chunk has its rows.

    A chunk locks rows before their job; deleting a job locks them the other way round.
    """
    await tx.run("DELETE FROM jobs WHERE id = :id AND ended_at IS NOT NULL", id=check_id)


async def note_matching(tx: Transaction, upload_id: UUID, matching: Mapping[str, Any]) -> None:
    """Write what is known of a file's columns, which keeps the file for longer."""
    sql = """
        UPDATE jobs SET started_at = clock_timestamp(),
            params = jsonb_set(params, '{matching}', CAST(:matching AS jsonb))
        WHERE id = :id AND state = 'receiving'
    """
    await tx.run(sql, id=upload_id, matching=matching)


async def lock_cells(tx: Transaction, upload_id: UUID, line: int) -> Mapping[str, str] | None:
    """Lock a row of a file, and read its cells."""
    sql = """
        SELECT detail FROM job_rows
        WHERE job_id = :id AND position = :line AND code IS NULL FOR UPDATE
    """
    return await tx.value(dict, sql, id=upload_id, line=line)


async def write_cells(
    tx: Transaction, upload_id: UUID, line: int, cells: Mapping[str, str]
) -> None:
    """Write the cells of a row, and keep the file for longer."""
    sql = """
        UPDATE job_rows SET detail = :cells WHERE job_id = :id AND position = :line
    """
    await tx.run(sql, id=upload_id, line=line, cells=cells)
    await tx.run("UPDATE jobs SET started_at = clock_timestamp() WHERE id = :id", id=upload_id)


async def bad_rows(
    tx: Transaction, upload_id: UUID, check_id: UUID, *, after: int, limit: int
) -> list[BadRow]:
    """List the rows that a check refused, by line, with their cells."""
    sql = """
        SELECT r.position AS line, f.detail AS cells, r.detail->'errors' AS errors
        FROM job_rows r JOIN job_rows f ON f.job_id = :upload_id AND f.position = r.position
        WHERE r.job_id = :check_id AND r.code = 'invalid' AND r.position > :after
        ORDER BY r.position LIMIT :limit
    """
    return await tx.rows(
        BadRow, sql, upload_id=upload_id, check_id=check_id, after=after, limit=limit
    )


async def named_rows(
    tx: Transaction, upload_id: UUID, check_id: UUID, *, after: int, limit: int
) -> list[NamedRow]:
    """List the rows whose number has another name, by line, with their cells."""
    sql = """
        SELECT r.position AS line, f.detail AS cells, r.detail->>'other_name' AS choice,
            c.id AS contact_id, btrim(c.first_name || ' ' || c.last_name) AS name, c.phone
        FROM job_rows r JOIN job_rows f ON f.job_id = :upload_id AND f.position = r.position
        JOIN contacts c ON c.id = CAST(r.detail->>'contact_id' AS uuid)
        WHERE r.job_id = :check_id AND jsonb_exists(r.detail, 'other_name') AND r.position > :after
        ORDER BY r.position LIMIT :limit
    """
    found = await tx.run(sql, upload_id=upload_id, check_id=check_id, after=after, limit=limit)
    return [
        NamedRow(
            row.line,
            row.cells,
            ContactName(row.contact_id, row.name, row.phone),
            OtherName(row.choice),
        )
        for row in found
    ]


async def forget_subject(tx: Transaction, check_id: UUID, line: int) -> None:
    """Let a checked row be about nobody, so that it is no duplicate of itself."""
    sql = "UPDATE job_rows SET subject_id = NULL WHERE job_id = :id AND position = :line"
    await tx.run(sql, id=check_id, line=line)
