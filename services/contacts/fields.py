"""Fields: a workspace's own facts about contacts."""

from typing import TypedDict
from uuid import UUID

from domain.contacts.fields import MAX_FIELDS, check_key, key_from
from domain.platform import names
from domain.platform.errors import ConflictError, Problems, required
from domain.platform.folding import folded_name
from domain.platform.paging import Page, Position, cut
from domain.sequences.texts import MERGE_FIELDS
from domain.statuses.contacts import FieldType
from services.platform import audit
from storage.contacts import fields
from storage.contacts.fields import FieldDetails
from storage.platform import wakes
from storage.platform.database import Database, Transaction
from storage.platform.locks import lock_fields
from storage.platform.wakes import WakeKind
from storage.sequences import sequences

LABEL_LENGTH = 100
"""Most characters of a label."""

RESERVED_KEYS = dict.fromkeys(
    (
        *MERGE_FIELDS,
        *("id", "contact_id", "external_id", "name", "time_zone", "time_zones", "line_type"),
        *("country", "state", "postal_code", "jurisdictions"),
        *("owner", "owner_id", "opted_out", "jurisdiction", "created_at", "updated_at", "fields"),
    )
)
"""Keys that texts, imports or the API give a meaning of their own."""


class FieldLabel(TypedDict, total=False):
    """What can change of a field."""

    label: str


class Fields:
    """Manages fields; their keys and types never change."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, key: str, label: str, type_: FieldType) -> FieldDetails:
        """Add a field; a blank label is its key, and a blank key comes from its label.

        Raises:
            InvalidRequestError: ``invalid_key``, ``reserved_key``, or the label is invalid.
            ConflictError: ``field_taken``, naming the field, ``field_limit``, or
                ``field_being_deleted``: contacts still have values of another with this key.
        """
        problems = Problems()
        if key:
            with problems.collect():
                check_key(key, field="key", taken=RESERVED_KEYS)
        called = problems.of(lambda: _label(label or key))
        problems.raise_any()
        async with self._database.transaction() as tx:
            await lock_fields(tx)
            known = {one.key: one for one in await fields.find(tx)}
            named = {folded_name(one.label): one for one in known.values()}
            if key in known:
                raise _taken("key", known[key])
            if not key and folded_name(called) in named:
                raise _taken("name", named[folded_name(called)])
            if len(known) >= MAX_FIELDS:
                raise ConflictError(
                    "field_limit",
                    f"a workspace has at most {MAX_FIELDS} fields; delete one that is not used",
                )
            removed = await fields.removed_keys(tx)
            key = key or key_from(called, taken={*RESERVED_KEYS, *known, *removed})
            if key in removed:
                raise ConflictError(
                    "field_being_deleted",
                    "the values of a deleted field with this key are still being deleted; try again"
                    " in a minute, or choose another key",
                )
            added = await fields.add(tx, {"key": key, "label": called, "type": type_})
            field_id = required(added, "field", key)
            await audit.record(tx, "field.create", "field", [field_id])
            return await _details(tx, field_id)

    async def update(self, field_id: UUID, changes: FieldLabel) -> FieldDetails:
        """Change a field's label.

        Raises:
            InvalidFieldError: The label is invalid.
            NotFoundError: There is no such field.
        """
        async with self._database.transaction() as tx:
            before = await _details(tx, field_id)
            called = _label(changes.get("label", before.label))
            if called != before.label and await fields.rename(tx, field_id, called):
                await audit.record(tx, "field.change", "field", [field_id])
            return await _details(tx, field_id)

    async def remove(self, field_id: UUID) -> None:
        """Delete a field with all its values, unless a text needs it.

        Nothing shows them from now on; they are deleted page by page, see
        ``services.enrollments.waking``.

        Raises:
            NotFoundError: There is no such field.
            ConflictError: ``field_in_use``: a step of a sequence that is not archived names it, a
                current one or one that is still to be sent to somebody.
        """
        async with self._database.transaction() as tx:
            await lock_fields(tx)
            field = await _details(tx, field_id)
            users = await sequences.names_with_merge_field(tx, field.key)
            if users:
                raise ConflictError(
                    "field_in_use",
                    f"texts of these sequences contain {{{{{field.key}}}}}: {', '.join(users)};"
                    " take it out of their steps, and wait for those who are in earlier steps, or"
                    " archive them",
                    sequences=len(users),
                )
            await fields.remove(tx, field_id)
            await wakes.add(tx, WakeKind.FIELD_REMOVED, [field_id])
            await audit.record(tx, "field.delete", "field", [field_id])

    async def get(self, field_id: UUID) -> FieldDetails:
        """Read a field.

        Raises:
            NotFoundError: There is no such field.
        """
        async with self._database.transaction() as tx:
            return await _details(tx, field_id)

    async def all(self) -> list[FieldDetails]:
        """List all fields by key."""
        async with self._database.transaction() as tx:
            return await fields.find(tx)

    async def find(
        self, *, after: Position | None = None, limit: int = MAX_FIELDS
    ) -> Page[FieldDetails]:
        """List fields by key."""
        async with self._database.transaction() as tx:
            rows = await fields.find(tx, after=after, limit=limit + 1)
        return cut(rows, limit, lambda row: Position(row.key, row.id))


def _taken(what: str, by: FieldDetails) -> ConflictError:
    reason = f"there is a field with this {what}; use it, or choose another {what}"
    return ConflictError("field_taken", reason, field_id=str(by.id))


def _label(label: str) -> str:
    return names.clean(label, field="label", most=LABEL_LENGTH)


async def _details(tx: Transaction, field_id: UUID) -> FieldDetails:
    return required(await fields.get(tx, field_id), "field", field_id)
