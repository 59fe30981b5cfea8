"""Contacts who are to be texted outside any step, and the texts."""

from collections.abc import Collection, Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    bindparam,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from domain.sequences.texts import Value
from domain.statuses.contacts import LineType
from domain.statuses.messaging import CancelReason
from storage.contacts import fields
from storage.enrollments.one_offs import UNDER_WAY, cancel
from storage.messaging.caps import over_cap
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.platform.rows import columns_of, made
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message, Sender
from storage.tables.sequences import Sequence
from storage.tables.suppression import Suppression


@dataclass(frozen=True)
class Recipient:
    """A contact to text through a sender.

    Attributes:
        opted_out: For everyone or for this sender.
        over_cap: They had as many texts in 24 hours as the workspace lets one person have.
        variables: Of the enrollment that it is texted from, if any.
    """

    contact_id: UUID
    first_name: str
    last_name: str
    phone: str
    line_type: LineType | None
    sender_id: UUID
    sender_name: str
    opted_out: bool
    over_cap: bool
    fields: Mapping[str, Value]
    variables: Mapping[str, Value] = field(default_factory=dict)


async def of_enrollments(tx: Transaction, enrollment_ids: Many[UUID]) -> dict[UUID, Recipient]:
    """Read the recipients of texts to enrollments, by enrollment; unknown ones are left out.

    The contacts are kept from being erased until the transaction ends.
    """
    query = (
        _recipients()
        .add_columns(col(Enrollment.id).label("enrollment_id"), col(Enrollment.variables))
        .select_from(Enrollment)
        .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
        .join(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
        .join(Sender, col(Sender.id) == col(Sequence.sender_id))
        .where(col(Enrollment.id) == func.any(list(enrollment_ids)))
        .with_for_update(key_share=True, read=True, of=Contact)
    )
    rows = (await tx.run(query)).mappings()
    return {row["enrollment_id"]: made(Recipient, row) for row in rows}


async def of_contact(
    tx: Transaction, contact_id: UUID, sender_id: UUID, *, lock: bool = False
) -> Recipient | None:
    """Read the recipient of a text to a contact, if contact and sender exist.

    With ``lock``, the contact is kept from being erased until the transaction ends.
    """
    ids = {"contact_id": contact_id, "sender_id": sender_id}
    return await tx.one(Recipient, _of_contact(lock=lock), **ids)


@cache
def _of_contact(*, lock: bool) -> Fixed:
    query = (
        _recipients()
        .select_from(Contact)
        .join(Sender, col(Sender.id) == bindparam("sender_id"))
        .where(col(Contact.id) == bindparam("contact_id"))
    )
    if lock:
        query = query.with_for_update(key_share=True, read=True, of=Contact)
    return Fixed(query)


@cache
def _recipients() -> Select[*tuple[Any, ...]]:
    suppressed: ColumnElement[bool] = exists().where(
        col(Suppression.phone) == col(Contact.phone),
        col(Suppression.lifted_at).is_(None),
        or_(col(Suppression.sender_id).is_(None), col(Suppression.sender_id) == col(Sender.id)),
    )
    return select(
        *columns_of(
            Recipient,
            Contact,
            contact_id=col(Contact.id),
            fields=fields.values(),
            sender_id=col(Sender.id),
            sender_name=col(Sender.name),
            opted_out=suppressed,
            over_cap=literal_column(over_cap("contacts.phone"), Boolean),
        )
    )


async def contacts_of(tx: Transaction, enrollment_ids: Many[UUID]) -> dict[UUID, UUID]:
    """Read the contacts of enrollments, by enrollment; unknown ones are left out."""
    sql = "SELECT id, contact_id FROM enrollments WHERE id = ANY(:ids)"
    return {row.id: row.contact_id for row in await tx.run(sql, ids=enrollment_ids)}


async def insert_messages(tx: Transaction, messages: Many[Mapping[str, Any]]) -> set[UUID]:
    """Insert texts, by column name; gives the ids of those that were not there already.

    Waits for a transaction that is about to insert one with the same id.
    """
    if not messages:
        return set()
    rows = await tx.scalars(
        insert(Message).on_conflict_do_nothing(index_elements=["id"]).returning(col(Message.id)),
        list(messages),
    )
    return set(rows)


async def cancel_message(tx: Transaction, message_id: UUID) -> bool:
    """Cancel a one-off text that waits to be sent; False if it is none, or an attempt is open.

    A send that has locked the text goes first; then an attempt is open.
    """
    waits = f"m.id = :id AND NOT {UNDER_WAY}"
    return bool(await cancel(tx, waits, CancelReason.BY_HAND, id=message_id))


async def move_scheduled(tx: Transaction, phones: Collection[str]) -> None:
    """Let scheduled texts that wait go to the numbers that their contacts have now.

    That is for their time, or to be tried again after a temporary failure. The transaction holds
    the locks of these numbers, and of those that the contacts had.
    """
    sql = f"""
        UPDATE messages m SET phone = c.phone FROM contacts c
        WHERE c.phone = ANY(:phones) AND m.contact_id = c.id AND m.phone <> c.phone
        AND m.direction = 'outbound' AND m.send_at IS NOT NULL AND m.next_try_at IS NOT NULL
        AND NOT {UNDER_WAY}
    """  # noqa: S608 - built from constants
    await tx.run(sql, phones=list(phones))
