"""Notes about contacts: what users tell their colleagues; never sent to anybody."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.platform import names
from domain.platform.errors import required
from domain.platform.filling import filled
from domain.platform.names import Named
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.access import Role
from services.access.users import ForbiddenError
from services.platform import audit
from storage.contacts import contacts, notes
from storage.contacts.notes import NoteRow
from storage.platform.database import Database, Transaction

NOTE_LENGTH = 4000
"""Most characters of a note."""

BETWEEN_MOST = 200
"""Most notes that a stretch of a conversation shows."""


@dataclass(frozen=True)
class Note:
    """A note about a contact."""

    id: UUID
    contact_id: UUID
    author: Named
    body: str
    created_at: datetime

    @classmethod
    def of(cls, row: NoteRow) -> "Note":
        """Read a row."""
        return filled(cls, row, author=Named(row.author_id, row.author_name))


class Notes:
    """Writes, lists and deletes notes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, contact_id: UUID, body: str, user_id: UUID, *, within: Transaction | None = None
    ) -> Note:
        """Write a note about a contact.

        Raises:
            InvalidFieldError: ``blank``, ``too_long``, or ``invalid_text``.
            NotFoundError: There is no such contact.
        """
        written = names.clean_lines(body, field="body", most=NOTE_LENGTH)
        async with self._database.within(within) as tx:
            required(await contacts.get(tx, contact_id, lock=True), "contact", contact_id)
            note_id = await notes.add(tx, contact_id, user_id, written)
            await audit.record(
                tx, "contact.add_note", "contact", [contact_id], note_id=str(note_id)
            )
            return Note.of(required(await notes.get(tx, contact_id, note_id), "note", note_id))

    async def get(self, contact_id: UUID, note_id: UUID) -> Note:
        """Read one note about a contact.

        Raises:
            NotFoundError: There is none.
        """
        async with self._database.transaction() as tx:
            return Note.of(required(await notes.get(tx, contact_id, note_id), "note", note_id))

    async def find(
        self, contact_id: UUID, *, after: Position | None = None, limit: int = 50
    ) -> Page[Note]:
        """List the notes about a contact, the latest first.

        Raises:
            NotFoundError: There is no such contact.
        """
        async with self._database.transaction() as tx:
            required(await contacts.get(tx, contact_id), "contact", contact_id)
            found = await notes.find(tx, contact_id, after=after, limit=limit + 1)
        return cut(found, limit, by_creation).showing(Note.of)

    async def between(
        self, contact_id: UUID, since: datetime | None, before: datetime | None
    ) -> Many[Note]:
        """List the notes of a stretch of time, the oldest first; of None, from or to its end."""
        async with self._database.transaction() as tx:
            found = await notes.find(tx, contact_id, since=since, before=before, limit=BETWEEN_MOST)
        return [Note.of(row) for row in reversed(found)]

    async def remove(self, contact_id: UUID, note_id: UUID, user_id: UUID, role: Role) -> None:
        """Delete a note; only its author and admins may.

        Raises:
            NotFoundError: There is no such note.
            ForbiddenError: It is another's, and takes an admin.
        """
        async with self._database.transaction() as tx:
            note = required(await notes.get(tx, contact_id, note_id), "note", note_id)
            if not may_remove(Note.of(note), user_id, role):
                raise ForbiddenError(Role.ADMIN)
            if await notes.remove(tx, note_id):
                await audit.record(
                    tx, "contact.delete_note", "contact", [contact_id], note_id=str(note_id)
                )


def may_remove(note: Note, user_id: UUID, role: Role) -> bool:
    """Tell whether a user may delete a note."""
    return role is Role.ADMIN or note.author.id == user_id
