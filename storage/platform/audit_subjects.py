"""What the audit log's entries are about: names by ids, one query for each kind."""

from collections.abc import Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple
from uuid import UUID

from storage.platform.database import Transaction

_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "enrollment": """
            SELECT id, contact_id AS contact, sequence_id AS sequence FROM enrollments
            WHERE id = ANY(:ids)
        """,
        "message": "SELECT id, contact_id AS contact FROM messages WHERE id = ANY(:ids)",
        "token": 'SELECT id, user_id AS "user" FROM api_tokens WHERE id = ANY(:ids)',
        "suppression": """
            SELECT s.id, c.id AS contact FROM suppressions s JOIN contacts c ON c.phone = s.phone
            WHERE s.id = ANY(:ids)
        """,
    }
)
"""Whom else a subject of this kind is about: their kinds and ids."""

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "contact": "btrim(first_name || ' ' || last_name) AS name, phone FROM contacts",
        "sequence": "name FROM sequences",
        "group": "name FROM groups",
        "sender": "name FROM senders",
        "user": "name FROM users",
        "field": "label AS name FROM contact_fields",
        "event_endpoint": "coalesce(nullif(description, ''), url) AS name FROM event_endpoints",
        "token": "name FROM api_tokens",
        "job": "kind AS name FROM jobs",
        "saved_reply": "name FROM saved_replies",
        "template": "name FROM sequence_templates",
        "suppression": "'' AS name, phone FROM suppressions",
    }
)
"""What a subject of this kind is called; who has no name is called by their number."""


_REASONS = """
    SELECT id, false AS lifted, occurred_at AS at, reason FROM suppressions
    WHERE id = ANY(:ids) AND reason <> ''
    UNION ALL
    SELECT id, true, lifted_at, lifted_reason FROM suppressions
    WHERE id = ANY(:ids) AND lifted_reason <> ''
"""


class Reason(NamedTuple):
    """Why a person opted a number out, or lifted that, and when."""

    id: UUID
    lifted: bool
    at: datetime
    reason: str


async def reasons(tx: Transaction, suppression_ids: Collection[UUID]) -> list[Reason]:
    """Read the reasons of suppressions, as far as they were not replaced."""
    return await tx.rows(Reason, _REASONS, ids=suppression_ids) if suppression_ids else []


async def parts(tx: Transaction, kind: str, ids: Collection[UUID]) -> dict[UUID, dict[str, UUID]]:
    """Find whom subjects of a kind are about besides themselves, by kind."""
    if kind not in _PARTS or not ids:
        return {}
    rows = (await tx.run(_PARTS[kind], ids=ids)).mappings()
    return {
        row["id"]: {name: one for name, one in row.items() if name != "id" and one is not None}
        for row in rows
    }


async def names(
    tx: Transaction, kind: str, ids: Collection[UUID]
) -> dict[UUID, tuple[str, str | None]]:
    """Find what subjects of a kind are called: a name, which may be empty, and a number if any."""
    if kind not in _NAMES or not ids:
        return {}
    rows = (await tx.run(f"SELECT id, {_NAMES[kind]} WHERE id = ANY(:ids)", ids=ids)).mappings()
    return {row["id"]: (row["name"], row.get("phone")) for row in rows}
