"""What decides whether contacts can be enrolled: one statement for thousands of them."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlmodel import col

from domain.sequences.texts import Value
from domain.sequences.timing import SendWindow
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from storage.platform.database import Transaction
from storage.platform.locks import share_sequence
from storage.platform.rows import made
from storage.sequences.sequences import StepRecord, steps_of
from storage.tables.contacts import Contact, GroupMember


class Candidate(NamedTuple):
    """A contact to enroll, with what decides whether and when."""

    contact_id: UUID
    phone: str
    time_zone: str | None
    line_type: LineType | None


@dataclass(frozen=True)
class SequenceSnapshot:
    """A sequence as it is when contacts are enrolled, with the current version of its steps.

    Attributes:
        send_window: None for any time.
        steps: In order, at least one.
        now: The database's clock.
    """

    state: SequenceState
    kind: SequenceKind
    sender_id: UUID
    send_window: SendWindow | None
    version_id: UUID
    steps: tuple[StepRecord, ...]
    now: datetime


class Start(NamedTuple):
    """The first step to send.

    Attributes:
        position: From 1.
        due_at: When it is due.
        next_send_at: ``due_at`` moved into the send window.
    """

    position: int
    due_at: datetime
    next_send_at: datetime


class NewRow(NamedTuple):
    """An enrollment to write.

    Attributes:
        status: ``active``, or the final status that it is born with.
        start: Shared by all that start alike; None if born final.
        variables: By key.
    """

    id: UUID
    contact_id: UUID
    status: EnrollmentStatus
    start: Start | None = None
    variables: Mapping[str, Value] = MappingProxyType({})


async def contacts_by_id(
    tx: Transaction, contact_ids: Many[UUID], *, lock: bool = True
) -> list[Candidate]:
    """Read contacts in no order; unknown ids are left out. ``lock`` keeps them from changing."""
    query = _candidates(lock=lock).where(col(Contact.id) == func.any(list(contact_ids)))
    return await tx.rows(Candidate, query)


async def ids_by_external_id(tx: Transaction, external_ids: Many[str]) -> dict[str, UUID]:
    """Read the contacts who have these external ids; unknown ones are left out."""
    sql = "SELECT external_id, id FROM contacts WHERE external_id = ANY(CAST(:ids AS text[]))"
    return {row.external_id: row.id for row in await tx.run(sql, ids=external_ids)}


async def lock_unowned(tx: Transaction, contact_ids: Many[UUID]) -> set[UUID]:
    """Lock those of these contacts who have no owner, and give their ids.

    In order, and before any other lock on contacts: those who enroll share them, and two of them
    could not both go on to change one.
    """
    sql = """
        SELECT id FROM contacts WHERE id = ANY(:ids) AND owner_id IS NULL
        ORDER BY id FOR NO KEY UPDATE
    """
    return set(await tx.column(sql, ids=list(contact_ids)))


async def ids_of_group(tx: Transaction, group_id: UUID, limit: int) -> list[UUID]:
    """Read some of a group's members, in no order."""
    sql = "SELECT contact_id FROM group_members WHERE group_id = :group_id LIMIT :limit"
    return await tx.column(sql, group_id=group_id, limit=limit)


async def own(tx: Transaction, contact_ids: Many[UUID], user_id: UUID) -> None:
    """Make a user the owner of contacts that were locked without one."""
    sql = "UPDATE contacts SET owner_id = :user_id, updated_at = now() WHERE id = ANY(:ids)"
    await tx.run(sql, ids=contact_ids, user_id=user_id)


async def suppressed_numbers(tx: Transaction, phones: Many[str], sender_id: UUID) -> set[str]:
    """Read which of these numbers are suppressed, for everyone or for this sender."""
    sql = """
        SELECT phone FROM suppressions WHERE phone = ANY(:phones) AND lifted_at IS NULL
        AND (sender_id IS NULL OR sender_id = :sender_id)
    """
    return set(await tx.column(sql, phones=phones, sender_id=sender_id))


async def contacts_of_group(tx: Transaction, group_id: UUID, limit: int) -> list[Candidate]:
    """Read a group's members by name."""
    query = (
        _candidates()
        .join(GroupMember, col(GroupMember.contact_id) == col(Contact.id))
        .where(col(GroupMember.group_id) == group_id)
        .order_by(col(Contact.search_name), col(Contact.id))
        .limit(limit)
    )
    return await tx.rows(Candidate, query)


async def lock_sequence_snapshot(tx: Transaction, sequence_id: UUID) -> SequenceSnapshot | None:
    """Read a sequence and keep it from changing until the transaction ends; None if there is none.

    Transactions that enroll share the lock; one that changes the sequence waits for them.
    """
    await share_sequence(tx, sequence_id)
    sql = """
        SELECT q.state, q.kind, q.sender_id, q.send_window, v.id AS version_id,
            clock_timestamp() AS now
        FROM sequences q JOIN sequence_versions v ON v.sequence_id = q.id
        WHERE q.id = :id ORDER BY v.number DESC LIMIT 1
    """
    row = (await tx.run(sql, id=sequence_id)).mappings().one_or_none()
    if row is None:
        return None
    return made(SequenceSnapshot, row, steps=await steps_of(tx, row["version_id"]))


async def opted_out(tx: Transaction, contact_ids: Many[UUID], sender_id: UUID) -> set[UUID]:
    """Read which of these contacts' numbers are suppressed, for everyone or for this sender."""
    sql = """
        SELECT c.id FROM contacts c JOIN suppressions s ON s.phone = c.phone
        WHERE c.id = ANY(:ids) AND s.lifted_at IS NULL
        AND (s.sender_id IS NULL OR s.sender_id = :sender_id)
    """
    return set(await tx.column(sql, ids=contact_ids, sender_id=sender_id))


async def active_in(tx: Transaction, sequence_id: UUID, contact_ids: Many[UUID]) -> set[UUID]:
    """Read which of these contacts are active in a sequence."""
    sql = """
        SELECT contact_id FROM enrollments
        WHERE sequence_id = :sequence_id AND status = 'active' AND contact_id = ANY(:ids)
    """
    return set(await tx.column(sql, sequence_id=sequence_id, ids=contact_ids))


def _candidates(*, lock: bool = True) -> Select[*tuple[Any, ...]]:
    """Select contacts; locked, so that whoever changes their zone finds the new enrollments."""
    query: Select[*tuple[Any, ...]] = select(
        col(Contact.id).label("contact_id"),
        col(Contact.phone),
        col(Contact.time_zone),
        col(Contact.line_type),
    )
    return query.with_for_update(read=True, of=Contact) if lock else query
