"""Queries of actions on contacts."""

from typing import NamedTuple

from sqlalchemy import func, select
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
