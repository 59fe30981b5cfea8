"""Queries of what is done to many enrollments at once."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import col

from domain.statuses.contacts import LineType
from storage.platform.database import Transaction
from storage.tables.contacts import Contact, GroupMember
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message
from storage.tables.sequences import Sequence
from storage.tables.suppression import Suppression


@dataclass(frozen=True)
class Recipient:
    """The contact of an enrollment, and what decides whether it may be texted.

    Attributes:
        sender_id: Of the enrollment's sequence.
        opted_out: The number stands suppressed, for everyone or for this sender.
    """

    enrollment_id: UUID
    contact_id: UUID
    first_name: str
    last_name: str
    phone: str
    line_type: LineType | None
    sender_id: UUID
    opted_out: bool


async def contacts_of(tx: Transaction, enrollment_ids: Many[UUID]) -> dict[UUID, UUID]:
    """Tell whose the enrollments are; unknown ones are left out."""
    rows = await tx.execute(
        select(col(Enrollment.id), col(Enrollment.contact_id)).where(
            col(Enrollment.id) == func.any(list(enrollment_ids))
        )
    )
    return {row.id: row.contact_id for row in rows}


async def add_members(
    tx: Transaction, group_id: UUID, contact_ids: Many[UUID], user_id: UUID
) -> set[UUID]:
    """Put contacts into a group; answers who was not in it before."""
    if not contact_ids:
        return set()
    added = await tx.scalars(
        upsert(GroupMember)
        .from_select(
            ["group_id", "contact_id", "added_by"],
            select(_uuid(group_id), col(Contact.id), _uuid(user_id))
            .where(col(Contact.id) == func.any(list(contact_ids)))
            .order_by(col(Contact.id))
            .with_for_update(key_share=True, read=True),  # none of them is being erased
        )
        .on_conflict_do_nothing()
        .returning(col(GroupMember.contact_id))
    )
    return set(added)


async def recipients(tx: Transaction, enrollment_ids: Many[UUID]) -> dict[UUID, Recipient]:
    """Read whom texts to these enrollments would go to; unknown ones are left out."""
    suppressed = exists().where(
        col(Suppression.phone) == col(Contact.phone),
        col(Suppression.lifted_at).is_(None),
        or_(
            col(Suppression.sender_id).is_(None),
            col(Suppression.sender_id) == col(Sequence.sender_id),
        ),
    )
    rows = await tx.execute(
        select(
            col(Enrollment.id),
            col(Enrollment.contact_id),
            col(Contact.first_name),
            col(Contact.last_name),
            col(Contact.phone),
            col(Contact.line_type),
            col(Sequence.sender_id),
            suppressed,
        )
        .select_from(Enrollment)
        .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
        .join(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
        .where(col(Enrollment.id) == func.any(list(enrollment_ids)))
        .with_for_update(key_share=True, read=True, of=Contact)  # none of them is being erased
    )
    return {row[0]: Recipient(*row) for row in rows}


async def insert_messages(tx: Transaction, messages: Many[Mapping[str, Any]]) -> None:
    """Write texts, by column name; those that are written already stay as they are."""
    if messages:
        kept = upsert(Message).on_conflict_do_nothing(index_elements=[col(Message.id)])
        await tx.execute(kept, list(messages))


def _uuid(value: UUID) -> Any:  # noqa: ANN401 - a typed literal
    return literal(value, Uuid())
