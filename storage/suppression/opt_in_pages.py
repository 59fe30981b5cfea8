"""Queries of the groups' public opt-in pages."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.contacts import Group, OptInPage
from storage.tables.messaging import Sender


@dataclass(frozen=True)
class OptInPageRow:
    """A group's opt-in page.

    Attributes:
        slug: The end of its address.
        sender_phone: The number that people can text START to instead.
    """

    group_id: UUID
    group_name: str
    slug: str
    title: str
    wording: str
    terms_url: str
    sender_id: UUID | None
    sender_phone: str | None
    created_at: datetime
    updated_at: datetime

    @property
    def edition(self) -> str:
        """Name what somebody agrees to: another one means that they have read something else."""
        said = f"{self.title}\0{self.wording}\0{self.terms_url}"
        return blake2b(said.encode(), digest_size=8).hexdigest()


def _pages() -> Select[*tuple[Any, ...]]:
    names = {"group_name": col(Group.name), "sender_phone": col(Sender.phone)}
    return (
        select(*columns_of(OptInPageRow, OptInPage, **names))
        .join(Group, col(Group.id) == col(OptInPage.group_id))
        .outerjoin(Sender, col(Sender.id) == col(OptInPage.sender_id))
    )


async def _one(tx: Transaction, condition: ColumnElement[bool]) -> OptInPageRow | None:
    return await tx.one(OptInPageRow, _pages().where(condition))


async def of_group(tx: Transaction, group_id: UUID) -> OptInPageRow | None:
    """Read a group's page, if it has one."""
    return await _one(tx, col(OptInPage.group_id) == group_id)


async def of_slug(tx: Transaction, slug: str) -> OptInPageRow | None:
    """Read the page with a slug, if there is one."""
    return await _one(tx, col(OptInPage.slug) == slug)


async def put(tx: Transaction, group_id: UUID, values: Mapping[str, Any]) -> bool:
    """Write a group's page; False if another page has the slug."""
    query = insert(OptInPage).values(group_id=group_id, **values)
    changed = {**values, "updated_at": func.clock_timestamp()}
    return await tx.unless_taken(
        ["uq_opt_in_pages_slug"],
        query.on_conflict_do_update(index_elements=["group_id"], set_=changed),
    )


async def remove(tx: Transaction, group_id: UUID) -> bool:
    """Delete a group's page; False if it has none."""
    return await tx.count("DELETE FROM opt_in_pages WHERE group_id = :id", id=group_id) > 0


async def phone_of_sender(tx: Transaction, sender_id: UUID) -> str | None:
    """Read a sender's own number; None if it has none, or there is no such sender."""
    return await tx.value(str, "SELECT phone FROM senders WHERE id = :id", id=sender_id)
