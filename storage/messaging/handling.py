"""Queries of how conversations are handled: whose they are, whether they are done or snoozed."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Select,
    Uuid,
    and_,
    bindparam,
    case,
    cast,
    column,
    false,
    func,
    or_,
    select,
)
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.platform.names import Named
from storage.messaging.inbox import DONE, RESTS, SNOOZED_UNTIL, wrote_since
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.messaging import Message


@dataclass(frozen=True)
class SeenConversation:
    """How the conversation with a contact stands, to somebody who saw it up to some text.

    Attributes:
        seen_at: When that text was stored; None if it is none of the conversation.
        wrote_since: Whether the contact asked for something since.
        rests: Whether it is done, or snoozed until a moment to come, which ``snoozed_until`` is.
    """

    contact_id: UUID
    seen_at: datetime | None
    wrote_since: bool
    rests: bool
    snoozed_until: datetime | None


async def as_seen(tx: Transaction, seen: Mapping[UUID, UUID | None]) -> list[SeenConversation]:
    """Read how conversations stand.

    ``seen`` has the last text of each that somebody saw, None for all of them. A text that comes at
    this moment is later than what is seen here.
    """
    given = (
        func.unnest(
            cast(list(seen), ARRAY(Uuid)), cast(list(seen.values()), ARRAY(Uuid)), type_=Uuid
        )
        .table_valued(column("id", Uuid), column("last_id", Uuid), name="given")
        .render_derived()
    )
    shown, said = aliased(Message), aliased(Message)
    nobodys = and_(col(shown.contact_id).is_(None), col(shown.phone) == col(Contact.phone))
    latest = (
        select(func.max(col(said.created_at)))
        .where(col(said.contact_id) == col(Contact.id))
        .correlate(Contact)
        .scalar_subquery()
    )
    seen_at = case(
        (given.c.last_id.is_(None), func.coalesce(latest, func.now())), else_=col(shown.created_at)
    )
    query: Select[*tuple[Any, ...]] = (
        select(
            given.c.id.label("contact_id"),
            seen_at.label("seen_at"),
            func.coalesce(wrote_since(seen_at), false()).label("wrote_since"),
            RESTS.label("rests"),
            SNOOZED_UNTIL.label("snoozed_until"),
        )
        .select_from(given)
        .join(Contact, col(Contact.id) == given.c.id)
        .outerjoin(
            shown,
            and_(
                col(shown.id) == given.c.last_id,
                or_(col(shown.contact_id) == col(Contact.id), nobodys),
            ),
        )
    )
    return await tx.rows(SeenConversation, query)


async def put_away(
    tx: Transaction, seen: Mapping[UUID, datetime], until: datetime | None = None
) -> None:
    """Mark conversations of locked contacts, seen up to a moment, done or snoozed until then."""
    sql = """
        UPDATE contacts c
        SET conversation_done_at = seen.at,
            conversation_snoozed_until = CAST(:until AS timestamptz)
        FROM unnest(CAST(:ids AS uuid[]), CAST(:moments AS timestamptz[])) AS seen (id, at)
        WHERE c.id = seen.id
    """
    await tx.run(sql, ids=list(seen), moments=list(seen.values()), until=until)


async def put_back(tx: Transaction, before: Mapping[UUID, datetime | None]) -> list[UUID]:
    """Have conversations of locked contacts that are put away be snoozed until then, or done.

    Gives those that are so from now on.
    """
    sql = """
        UPDATE contacts c SET conversation_snoozed_until = before.until
        FROM unnest(CAST(:ids AS uuid[]), CAST(:moments AS timestamptz[])) AS before (id, until)
        WHERE c.id = before.id AND c.conversation_done_at IS NOT NULL
        AND c.conversation_snoozed_until IS DISTINCT FROM before.until
        RETURNING c.id
    """
    return await tx.column(sql, ids=list(before), moments=list(before.values()))


async def reopen(tx: Transaction, contact_ids: Collection[UUID]) -> list[UUID]:
    """Take back that conversations of locked contacts are done or snoozed; return which were."""
    sql = """
        UPDATE contacts SET conversation_done_at = NULL, conversation_snoozed_until = NULL
        WHERE id = ANY(:ids) AND conversation_done_at IS NOT NULL
        RETURNING id
    """
    return await tx.column(sql, ids=list(contact_ids))


async def set_owner(tx: Transaction, contact_id: UUID, owner_id: UUID | None) -> bool:
    """Change whose inbox a contact's replies belong to; False if it is theirs already."""
    sql = """
        UPDATE contacts
        SET owner_id = CAST(:owner_id AS uuid), updated_at = clock_timestamp()
        WHERE id = :id AND owner_id IS DISTINCT FROM CAST(:owner_id AS uuid)
    """
    return await tx.count(sql, id=contact_id, owner_id=owner_id) > 0


@dataclass(frozen=True)
class Handling:
    """Whose the conversation with a contact is, and whether it is done or snoozed."""

    owner_id: UUID | None
    owner_name: str | None
    done: bool
    snoozed_until: datetime | None


_HANDLING = Fixed(
    select(
        col(Contact.owner_id),
        col(User.name).label("owner_name"),
        DONE.label("done"),
        SNOOZED_UNTIL.label("snoozed_until"),
    )
    .outerjoin(User, col(User.id) == col(Contact.owner_id))
    .where(col(Contact.id) == bindparam("contact_id"))
)


async def handling(tx: Transaction, contact_id: UUID) -> Handling | None:
    """Read how a contact's conversation is handled; None if there is no such contact."""
    return await tx.one(Handling, _HANDLING, contact_id=contact_id)


async def owners(tx: Transaction) -> list[Named]:
    """List the users who can own contacts and answer them, by name."""
    sql = """
        SELECT id, name FROM users WHERE disabled_at IS NULL AND role <> 'viewer'
        ORDER BY lower(name), id
    """
    return await tx.rows(Named, sql)
