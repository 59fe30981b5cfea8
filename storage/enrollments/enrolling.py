"""What decides whether contacts can be enrolled: one statement for thousands of them."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, or_, select
from sqlmodel import col

from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from storage.platform.database import Transaction
from storage.platform.locks import share_sequence
from storage.sequences.sequences import WINDOW_JSON, StepRecord, steps_of
from storage.tables.contacts import Contact, GroupMember
from storage.tables.enrollments import Enrollment
from storage.tables.sequences import Sequence, SequenceVersion
from storage.tables.suppression import Suppression


class Candidate(NamedTuple):
    """A contact to enroll, with what decides whether and when.

    Attributes:
        contact_id: The contact.
        phone: E.164.
        time_zone: IANA name, if someone gave it.
        line_type: If known.
    """

    contact_id: UUID
    phone: str
    time_zone: str | None
    line_type: LineType | None


@dataclass(frozen=True)
class SequenceSnapshot:
    """A sequence as it is when contacts are enrolled, with the current version of its steps.

    Attributes:
        state: Of the sequence.
        kind: Of the sequence.
        sender_id: The sender of its texts.
        send_window: As ``SendWindow.parse`` reads it; None for any time.
        version_id: The current version.
        steps: In order, at least one.
        now: The database's clock.
    """

    state: SequenceState
    kind: SequenceKind
    sender_id: UUID
    send_window: WINDOW_JSON | None
    version_id: UUID
    steps: tuple[StepRecord, ...]
    now: datetime


@dataclass(frozen=True)
class NewRow:
    """An enrollment to write.

    Attributes:
        id: Of the enrollment.
        contact_id: Who.
        status: ``active``, or the final status that it is born with.
        position: The step to send first, from 1.
        due_at: When that step is due; None if born final.
        next_send_at: ``due_at`` moved into the send window; None if born final.
    """

    id: UUID
    contact_id: UUID
    status: EnrollmentStatus
    position: int = 1
    due_at: datetime | None = None
    next_send_at: datetime | None = None


async def contacts_by_id(
    tx: Transaction, contact_ids: Many[UUID], *, lock: bool = True
) -> list[Candidate]:
    """Read contacts in no order; unknown ids are left out. ``lock`` keeps them from changing."""
    query = _candidates(lock=lock).where(col(Contact.id) == func.any(list(contact_ids)))
    return [Candidate(*row) for row in await tx.execute(query)]


async def suppressed_numbers(tx: Transaction, phones: Many[str], sender_id: UUID) -> set[str]:
    """Read which of these numbers are suppressed, for everyone or for this sender."""
    rows = await tx.scalars(
        select(col(Suppression.phone)).where(
            col(Suppression.phone) == func.any(list(phones)),
            col(Suppression.lifted_at).is_(None),
            or_(col(Suppression.sender_id).is_(None), col(Suppression.sender_id) == sender_id),
        )
    )
    return {phone for phone in rows if phone is not None}


async def contacts_of_group(tx: Transaction, group_id: UUID, limit: int) -> list[Candidate]:
    """Read a group's members by name."""
    rows = await tx.execute(
        _candidates()
        .join(GroupMember, col(GroupMember.contact_id) == col(Contact.id))
        .where(col(GroupMember.group_id) == group_id)
        .order_by(col(Contact.search_name), col(Contact.id))
        .limit(limit)
    )
    return [Candidate(*row) for row in rows]


async def lock_sequence_snapshot(tx: Transaction, sequence_id: UUID) -> SequenceSnapshot | None:
    """Read a sequence and keep it from changing until the transaction ends; None if there is none.

    Transactions that enroll share the lock; one that changes the sequence waits for them.
    """
    await share_sequence(tx, sequence_id)
    sequence = (
        await tx.execute(
            select(
                col(Sequence.state),
                col(Sequence.kind),
                col(Sequence.sender_id),
                col(Sequence.send_window),
            ).where(col(Sequence.id) == sequence_id)
        )
    ).one_or_none()
    if sequence is None:
        return None
    version = (
        await tx.execute(
            select(col(SequenceVersion.id), func.clock_timestamp())
            .where(col(SequenceVersion.sequence_id) == sequence_id)
            .order_by(col(SequenceVersion.number).desc())
            .limit(1)
        )
    ).one()
    return SequenceSnapshot(*sequence, version[0], await steps_of(tx, version[0]), version[1])


async def opted_out(tx: Transaction, contact_ids: Many[UUID], sender_id: UUID) -> set[UUID]:
    """Read which of these contacts' numbers are suppressed, for everyone or for this sender."""
    rows = await tx.scalars(
        select(col(Contact.id))
        .join(Suppression, col(Suppression.phone) == col(Contact.phone))
        .where(
            col(Contact.id) == func.any(list(contact_ids)),
            col(Suppression.lifted_at).is_(None),
            or_(col(Suppression.sender_id).is_(None), col(Suppression.sender_id) == sender_id),
        )
    )
    return set(rows)


async def active_in(tx: Transaction, sequence_id: UUID, contact_ids: Many[UUID]) -> set[UUID]:
    """Read which of these contacts are active in a sequence."""
    rows = await tx.scalars(
        select(col(Enrollment.contact_id)).where(
            col(Enrollment.sequence_id) == sequence_id,
            col(Enrollment.status) == EnrollmentStatus.ACTIVE,
            col(Enrollment.contact_id) == func.any(list(contact_ids)),
        )
    )
    return set(rows)


def _candidates(*, lock: bool = True) -> Select[UUID, str, str | None, LineType | None]:
    """Select contacts; locked, so that whoever changes their zone finds the new enrollments."""
    query = select(
        col(Contact.id), col(Contact.phone), col(Contact.time_zone), col(Contact.line_type)
    )
    return query.with_for_update(read=True, of=Contact) if lock else query
