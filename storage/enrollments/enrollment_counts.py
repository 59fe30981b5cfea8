"""How many enrollments a sequence has, kept as they change; see ``EnrollmentCount``."""

from collections.abc import Sequence as Many
from functools import cache
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, bindparam, func, select
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentStatus
from storage.platform.database import Transaction
from storage.tables.enrollments import EnrollmentCount


class Cell(NamedTuple):
    """The enrollments of a sequence that have a status, a last step sent, and are held or not."""

    status: EnrollmentStatus
    step: int
    held: bool
    size: int


@cache
def of_sequence() -> Select[EnrollmentStatus, int, bool, int]:
    """Select the cells of ``:sequence_id``; those without any enrollments are left out."""
    status, step = col(EnrollmentCount.status), col(EnrollmentCount.step)
    held, size = col(EnrollmentCount.held), func.sum(col(EnrollmentCount.change)).label("size")
    return (
        select(status, step, held, size)
        .where(col(EnrollmentCount.sequence_id) == bindparam("sequence_id"))
        .group_by(status, step, held)
        .having(size > 0)
    )


_OF_SEQUENCE = of_sequence()


async def cells(tx: Transaction, sequence_id: UUID) -> list[Cell]:
    """Count the enrollments of a sequence, exactly."""
    return [Cell(*row) for row in await tx.run(_OF_SEQUENCE, sequence_id=sequence_id)]


def counted(found: Many[Cell]) -> int:
    """Add cells up."""
    return sum(cell.size for cell in found)


def by_status(found: Many[Cell]) -> dict[EnrollmentStatus, int]:
    """Add cells up by status, all eight of them."""
    return {
        status: counted([cell for cell in found if cell.status is status])
        for status in EnrollmentStatus
    }


# The latest first, so that folded rows, which are older, are not read. What another transaction
# folds at the same time is skipped.
_FOLD = """
    WITH parts AS (
        DELETE FROM enrollment_counts WHERE id IN (
            SELECT id FROM enrollment_counts WHERE NOT folded
            ORDER BY id DESC LIMIT :limit FOR UPDATE SKIP LOCKED
        )
        RETURNING sequence_id, status, step, held, change
    ), kept AS (
        INSERT INTO enrollment_counts (sequence_id, status, step, held, change, folded)
        SELECT sequence_id, status, step, held, sum(change), true FROM parts
        GROUP BY 1, 2, 3, 4 HAVING sum(change) <> 0 ORDER BY 1, 2, 3, 4
        ON CONFLICT (sequence_id, status, step, held) WHERE folded
        DO UPDATE SET change = enrollment_counts.change + excluded.change
    )
    SELECT count(*) FROM parts
"""


async def fold(tx: Transaction, limit: int) -> int:
    """Fold the parts of counts into one row for each cell; return how many there were."""
    return await tx.value(int, _FOLD, limit=limit) or 0
