"""Queries of actions on contacts."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentStatus
from storage.contacts.contacts import ContactFilter, ids_matching, opted_out
from storage.platform.database import Transaction
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment


class Outlook(NamedTuple):
    """What an action on contacts would meet.

    Attributes:
        people: Number of contacts.
        opted_out: Number of those whose number is suppressed for the whole deployment.
        active: Number of active enrollments of the contacts.
    """

    people: int
    opted_out: int
    active: int


def contacts_of(enrollment_ids: Select[UUID]) -> Select[UUID]:
    """Select the contacts of enrollments, each once, by name."""
    found = enrollment_ids.order_by(None).subquery()
    theirs = select(col(Enrollment.contact_id)).join(found, found.c.id == col(Enrollment.id))
    query = select(col(Contact.id)).where(col(Contact.id).in_(theirs))
    return query.order_by(col(Contact.search_name), col(Contact.id))


async def is_undone(tx: Transaction, job_id: UUID, user_id: UUID) -> bool:
    """Tell whether another job of the user takes a job back."""
    sql = "SELECT id FROM jobs WHERE user_id = :user_id AND params->>'undo_of' = :id LIMIT 1"
    return await tx.value(UUID, sql, user_id=user_id, id=str(job_id)) is not None


async def outlook(tx: Transaction, wanted: ContactFilter) -> Outlook:
    """Count the contacts that match a filter, all of them, and their active enrollments."""
    chosen = ids_matching(wanted).order_by(None).subquery()
    ids = select(chosen.c.id)
    people = select(func.count(), func.count().filter(opted_out())).select_from(Contact)
    count, out = (await tx.execute(people.where(col(Contact.id).in_(ids)))).one()
    enrollments = select(func.count()).select_from(Enrollment)
    active = enrollments.where(
        col(Enrollment.contact_id).in_(ids), col(Enrollment.status) == EnrollmentStatus.ACTIVE
    )
    return Outlook(count, out, (await tx.execute(active)).scalar_one())
