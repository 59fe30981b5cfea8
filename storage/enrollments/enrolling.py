"""What decides whether contacts can be enrolled: one statement for thousands of them."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from domain.event_webhooks.events import ContactChange
from domain.sequences.sending_hours import SendingHours
from domain.sequences.texts import Value
from domain.sequences.timing import Whereabouts
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from storage.contacts.contacts import WHEREABOUTS
from storage.event_webhooks import events
from storage.platform.database import Transaction
from storage.platform.locks import share_sequence
from storage.platform.rows import made
from storage.sequences.sequences import StepRecord, hours_sql, steps_of


@dataclass(frozen=True, kw_only=True)
class Candidate(Whereabouts):
    """A contact to enroll, with what decides whether and when, and whether somebody owns them."""

    contact_id: UUID
    line_type: LineType | None
    is_owned: bool


@dataclass(frozen=True)
class SequenceSnapshot:
    """A sequence as it is when contacts are enrolled, with the current version of its steps.

    Attributes:
        hours: When its texts may go.
        steps: In order, at least one.
        now: The database's clock.
    """

    state: SequenceState
    kind: SequenceKind
    sender_id: UUID
    hours: SendingHours
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
    """Read contacts by id; unknown ids are left out.

    With ``lock``, whoever changes their zone meanwhile finds the new enrollments. All of them are
    locked, before any other lock on contacts, whether they get an owner or not: those who enroll or
    merge the same people wait for each other instead of deadlocking.
    """
    sql = f"""
        SELECT c.id AS contact_id, {WHEREABOUTS}, c.line_type, c.owner_id IS NOT NULL AS is_owned
        FROM contacts c WHERE c.id = ANY(:ids) ORDER BY c.id
    """  # noqa: S608 - built from constants
    if lock:
        sql = f"{sql} FOR NO KEY UPDATE"
    return await tx.rows(Candidate, sql, ids=list(contact_ids))


async def ids_by_external_id(tx: Transaction, external_ids: Many[str]) -> dict[str, UUID]:
    """Read the contacts who have these external ids; unknown ones are left out."""
    sql = "SELECT external_id, id FROM contacts WHERE external_id = ANY(CAST(:ids AS text[]))"
    return {row.external_id: row.id for row in await tx.run(sql, ids=external_ids)}


async def ids_of_group(tx: Transaction, group_id: UUID, limit: int) -> list[UUID]:
    """Read a group's members by name."""
    sql = """
        SELECT c.id FROM contacts c JOIN group_members m ON m.contact_id = c.id
        WHERE m.group_id = :group_id ORDER BY c.search_name, c.id LIMIT :limit
    """
    return await tx.column(sql, group_id=group_id, limit=limit)


async def own(tx: Transaction, contact_ids: Many[UUID], user_id: UUID) -> None:
    """Make a user the owner of contacts that were locked without one, after enrolling them."""
    sql = """
        UPDATE contacts SET owner_id = :user_id, updated_at = clock_timestamp()
        WHERE id = ANY(:ids)
    """
    await tx.run(sql, ids=contact_ids, user_id=user_id)
    changed = dict.fromkeys(contact_ids, ("owner_id",))
    await events.contacts_changed(tx, changed, ContactChange.UPDATED)


async def suppressed_numbers(tx: Transaction, phones: Many[str], sender_id: UUID) -> set[str]:
    """Read which of these numbers are suppressed, for everyone or for this sender."""
    sql = """
        SELECT phone FROM suppressions WHERE phone = ANY(:phones) AND lifted_at IS NULL
        AND (sender_id IS NULL OR sender_id = :sender_id)
    """
    return set(await tx.column(sql, phones=phones, sender_id=sender_id))


async def lock_sequence_snapshot(tx: Transaction, sequence_id: UUID) -> SequenceSnapshot | None:
    """Read a sequence and keep it from changing until the transaction ends; None if there is none.

    Transactions that enroll share the lock; one that changes the sequence waits for them.
    """
    await share_sequence(tx, sequence_id)
    sql = f"""
        SELECT q.state, q.kind, q.sender_id, {hours_sql()} AS hours, v.id AS version_id,
            clock_timestamp() AS now
        FROM sequences q JOIN sequence_versions v ON v.sequence_id = q.id
        WHERE q.id = :id ORDER BY v.number DESC LIMIT 1
    """  # noqa: S608 - built from constants
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
