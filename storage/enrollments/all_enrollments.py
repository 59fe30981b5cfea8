"""The list of enrollments in whatever sequences."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, text, union_all
from sqlmodel import col

from domain.platform.names import Named
from domain.platform.paging import Position
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceState
from storage.enrollments.enrollment_list import EnrollmentOfContact, row_columns
from storage.platform.database import Transaction
from storage.platform.rows import columns_of, paged
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment, EnrollmentSearch
from storage.tables.sequences import Sequence


@dataclass(frozen=True, kw_only=True)
class EnrollmentAnywhere(EnrollmentOfContact):
    """An enrollment with its contact and its sequence."""

    sequence_id: UUID
    sequence_name: str
    sequence_state: SequenceState
    ended_at: datetime | None

    @property
    def enrollment_id(self) -> UUID:
        """The id, under the name that lists have for it."""
        return self.id

    @property
    def sequence(self) -> Named:
        """The sequence in short."""
        return Named(self.sequence_id, self.sequence_name)


async def page(
    tx: Transaction,
    *,
    contact_ids: Many[UUID],
    sequence_ids: Many[UUID],
    statuses: Many[EnrollmentStatus],
    after: Position | None,
    limit: int,
) -> list[EnrollmentAnywhere]:
    """List the enrollments of any of these contacts, sequences and statuses, the latest first.

    What is empty does not matter. The order is that of ``enrollment_search``: sending texts does
    not write its indexes.
    """
    query = _anywhere()
    if contact_ids:
        query = query.where(col(EnrollmentSearch.contact_id).in_(contact_ids))
    if sequence_ids:
        query = query.where(col(EnrollmentSearch.sequence_id).in_(sequence_ids))
    if statuses:
        query = query.where(col(Enrollment.status).in_(statuses))
    if statuses and not contact_ids and not sequence_ids and all(one.is_final for one in statuses):
        latest = [_latest(one, after, limit) for one in statuses]
        query = query.where(col(EnrollmentSearch.enrollment_id).in_(union_all(*latest)))
    key, row_id = col(EnrollmentSearch.enrolled_at), col(EnrollmentSearch.enrollment_id)
    query = paged(query, key, row_id, after, down=True)
    return await tx.rows(EnrollmentAnywhere, query.limit(limit))


@cache
def _anywhere() -> Select[*tuple[Any, ...]]:
    return (
        select(
            *columns_of(
                EnrollmentAnywhere,
                Enrollment,
                **row_columns(),
                sequence_name=col(Sequence.name),
                sequence_state=col(Sequence.state),
            )
        )
        .select_from(EnrollmentSearch)
        .join(Enrollment, col(Enrollment.id) == col(EnrollmentSearch.enrollment_id))
        .join(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
        .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
        .join(User, col(User.id) == col(Enrollment.enrolled_by))
    )


def _latest(
    status: EnrollmentStatus, after: Position | None, limit: int
) -> Select[*tuple[Any, ...]]:
    """Select the latest of one final status, which an index has in this order."""
    ended = text("enrollments.status <> 'active'")  # as the index says it, or it is not used
    query: Select[*tuple[Any, ...]] = select(col(Enrollment.id)).where(
        col(Enrollment.status) == status, ended
    )
    key, row_id = col(Enrollment.enrolled_at), col(Enrollment.id)
    return paged(query, key, row_id, after, down=True).limit(limit)


async def ids_of_contact(tx: Transaction, contact_id: UUID) -> dict[UUID, EnrollmentStatus]:
    """Read a contact's enrollments with their statuses."""
    sql = "SELECT id, status FROM enrollments WHERE contact_id = :id ORDER BY enrolled_at, id"
    rows = await tx.run(sql, id=contact_id)
    return {row.id: EnrollmentStatus(row.status) for row in rows}
