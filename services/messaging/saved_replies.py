"""Saved replies: texts that users insert into what they write to contacts."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from domain.platform import names
from domain.platform.errors import ConflictError, Problems, required
from domain.platform.filling import filled
from domain.platform.paging import Page, Position, cut
from domain.sequences.texts import check_body, half_filled, merge_values, missing
from services.platform import audit
from storage.contacts import contacts, fields
from storage.messaging import saved_replies
from storage.messaging.saved_replies import SavedReplyRow
from storage.platform.database import Database, Transaction

NAME_LENGTH = 60
"""Most characters of a name."""

MOST = 500
"""Most saved replies that one user can see: a list that is searched while one types."""


@dataclass(frozen=True)
class SavedReply:
    """A saved reply; ``own``: only its user sees it, not everybody."""

    id: UUID
    own: bool
    name: str
    body: str
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: SavedReplyRow) -> "SavedReply":
        """Read a row."""
        return filled(cls, row, own=row.owner_id is not None)


@dataclass(frozen=True)
class FilledReply:
    """A saved reply as it would be inserted for a contact.

    Attributes:
        text: With the contact's values; what is missing stays a merge field, so that it cannot be
            sent unnoticed.
        missing: The merge fields that stay, as people call them.
    """

    id: UUID
    own: bool
    name: str
    text: str
    missing: Many[str]


class SavedReplyChanges(TypedDict, total=False):
    """What can change of a saved reply."""

    name: str
    body: str


class SavedReplies:
    """Manages saved replies: a user's own, and those of everybody."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        name: str,
        body: str,
        user_id: UUID,
        *,
        own: bool = False,
        within: Transaction | None = None,
    ) -> SavedReply:
        """Save a reply for everybody, or with ``own`` for its user alone.

        Raises:
            InvalidRequestError: The name is invalid, or the body as a text.
            ConflictError: ``saved_reply_taken`` or ``too_many_saved_replies``.
        """
        values = _checked({"name": name, "body": body})
        async with self._database.within(within) as tx:
            if await saved_replies.count(tx, user_id) >= MOST:
                raise ConflictError(
                    "too_many_saved_replies",
                    f"there are {MOST} saved replies already; delete one that no one uses",
                )
            owner = {"owner_id": user_id if own else None}
            reply_id = await saved_replies.add(tx, {**values, **owner})
            if reply_id is None:
                raise _taken()
            await audit.record(tx, "saved_reply.create", "saved_reply", [reply_id], own=own)
            return await _found(tx, user_id, reply_id)

    async def change(self, reply_id: UUID, changes: SavedReplyChanges, user_id: UUID) -> SavedReply:
        """Change the name or the text of one that the user sees.

        Raises:
            InvalidRequestError: The name is invalid, or the body as a text.
            NotFoundError: There is none.
            ConflictError: ``saved_reply_taken``.
        """
        values = _checked(changes)
        async with self._database.transaction() as tx:
            before = await _found(tx, user_id, reply_id)
            if any(getattr(before, name) != value for name, value in values.items()):
                if not await saved_replies.change(tx, reply_id, values):
                    raise _taken()
                await audit.record(tx, "saved_reply.change", "saved_reply", [reply_id])
            return await _found(tx, user_id, reply_id)

    async def remove(self, reply_id: UUID, user_id: UUID) -> SavedReply:
        """Delete one that the user sees; texts that it was inserted into stay. Returns it.

        Raises:
            NotFoundError: There is none.
        """
        async with self._database.transaction() as tx:
            reply = await _found(tx, user_id, reply_id)
            if await saved_replies.remove(tx, reply_id):
                await audit.record(tx, "saved_reply.delete", "saved_reply", [reply_id])
        return reply

    async def get(self, reply_id: UUID, user_id: UUID) -> SavedReply:
        """Read one that the user sees.

        Raises:
            NotFoundError: There is none.
        """
        async with self._database.transaction() as tx:
            return await _found(tx, user_id, reply_id)

    async def find(
        self, user_id: UUID, *, after: Position | None = None, limit: int = MOST
    ) -> Page[SavedReply]:
        """List a user's own saved replies and everybody's, by name."""
        async with self._database.transaction() as tx:
            rows = await saved_replies.find(tx, user_id, after=after, limit=limit + 1)
        page = cut(rows, limit, lambda row: Position(row.sort_key, row.id))
        return page.showing(SavedReply.of)

    async def for_contact(self, contact_id: UUID, user_id: UUID) -> Many[FilledReply]:
        """List what a user can insert into a text to a contact, filled in, by name.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            contact = required(await contacts.get(tx, contact_id), "contact", contact_id)
            rows = await saved_replies.find(tx, user_id, limit=MOST)
            labels = {one.key: one.label for one in await fields.find(tx)} if rows else {}
        name = contact.first_name, contact.last_name
        values = merge_values(*name, contact.phone, contact.fields, {})
        return [
            FilledReply(
                row.id,
                row.owner_id is not None,
                row.name,
                half_filled(row.body, values),
                [labels.get(one, _as_words(one)) for one in missing(row.body, values)],
            )
            for row in rows
        ]


def _checked(changes: SavedReplyChanges) -> Mapping[str, str]:
    """Check what is written, and clean the name."""
    problems, values = Problems(), dict[str, str]()
    if "name" in changes:
        name = changes["name"]
        values["name"] = problems.of(lambda: names.clean(name, field="name", most=NAME_LENGTH))
    if "body" in changes:
        values["body"] = changes["body"].replace("\r\n", "\n").strip()
        with problems.collect():
            check_body(values["body"], field="body")
    problems.raise_any()
    return values


def _as_words(key: str) -> str:
    return key.replace("_", " ").capitalize()


def _taken() -> ConflictError:
    return ConflictError(
        "saved_reply_taken",
        "there is a saved reply with this name; change that one, or choose another name",
    )


async def _found(tx: Transaction, user_id: UUID, reply_id: UUID) -> SavedReply:
    row = await saved_replies.get(tx, user_id, reply_id)
    return SavedReply.of(required(row, "saved_reply", reply_id))
