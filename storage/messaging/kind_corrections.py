"""Queries of what one inbound text is."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.statuses.messaging import Direction, TextKind
from domain.statuses.suppression import TextMeaning
from storage.platform.database import Transaction


@dataclass(frozen=True)
class TextRecord:
    """One text.

    Attributes:
        phone: The other party's number.
        kind: What an inbound text is; None of ours, and of one that came before that was told.
        about_id: The text of ours that a reaction is about.
        keyword: What an inbound text asks for, if anything.
        at: The provider's time of an inbound text, the acceptance of one of ours.
    """

    id: UUID
    direction: Direction
    contact_id: UUID | None
    phone: str
    sender_id: UUID | None
    body: str
    media_urls: tuple[str, ...]
    kind: TextKind | None
    about_id: UUID | None
    is_reply: bool
    keyword: TextMeaning | None
    at: datetime


async def get(tx: Transaction, message_id: UUID) -> TextRecord | None:
    """Read a text; None if there is none."""
    sql = """
        SELECT id, direction, contact_id, phone, sender_id, body, media_urls, kind, about_id,
            is_reply, keyword, coalesce(occurred_at, created_at) AS at
        FROM messages WHERE id = :id
    """
    return await tx.one(TextRecord, sql, id=message_id)


async def set_human(tx: Transaction, message_id: UUID) -> None:
    """Note that a person wrote a text, which is a reply then; its number is locked."""
    sql = "UPDATE messages SET kind = 'human', is_reply = true, about_id = NULL WHERE id = :id"
    await tx.run(sql, id=message_id)
