"""Queries of consents: added, listed, and whether an opt-out has revoked them; never changed."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from domain.contacts.consents import Agreed
from domain.platform.paging import Position
from domain.statuses.contacts import ConsentNeeded
from storage.platform.database import Transaction, as_json

STANDING = """NOT EXISTS (
    SELECT FROM suppressions s
    WHERE s.phone = k.phone AND s.sender_id IS NULL AND s.occurred_at > k.given_at
)"""
"""SQL: no opt-out has revoked a consent ``k``."""


BEST = f"""(
    SELECT k.id FROM consents k WHERE k.phone = {{phone}} AND {STANDING}
    ORDER BY k.written DESC, k.given_at DESC, k.id LIMIT 1
)"""  # noqa: S608 - built from constants
"""SQL: the consent that a text to a number goes under, if any: one in writing, else the latest."""

_NEEDED = """coalesce(
    (SELECT w.require_consent ->> {purpose} FROM workspace w WHERE w.id = 1), 'none'
)"""

IS_MISSING = f"""(
    {_NEEDED} <> 'none' AND NOT EXISTS (
        SELECT FROM consents k WHERE k.phone = {{phone}} AND {STANDING}
        AND (k.written OR {_NEEDED} = 'any')
    )
)"""
"""SQL: a number has not the consent that the workspace asks for texts of a purpose."""


_WITHOUT = f"""
    SELECT p.phone FROM sequences q CROSS JOIN unnest(CAST(:phones AS text[])) AS p(phone)
    WHERE q.id = :sequence_id AND {IS_MISSING.format(phone="p.phone", purpose="q.purpose")}
"""  # noqa: S608 - built from constants


@dataclass(frozen=True, kw_only=True)
class NewConsent(Agreed):
    """A consent to add.

    Attributes:
        phone: E.164.
        user_id: Who notes it; None if the person gave it to us.
        message_id: The text that said it.
    """

    phone: str
    user_id: UUID | None = None
    message_id: UUID | None = None


@dataclass(frozen=True)
class ConsentRow:
    """A consent on record.

    Attributes:
        revoked_at: When the number opted out afterwards, first; None if it stands.
        message_body: What the text said.
    """

    id: UUID
    phone: str
    source: str
    wording: str | None
    written: bool
    given_at: datetime
    recorded_at: datetime
    address: str | None
    user_id: UUID | None
    user_name: str | None
    message_id: UUID | None
    message_body: str | None
    revoked_at: datetime | None


_SAME = """
    SELECT k.id FROM consents k WHERE k.phone = {0}.phone AND k.given_at = {0}.given_at
    AND k.source = {0}.source AND k.written = {0}.written
    AND k.wording IS NOT DISTINCT FROM {0}.wording
"""

_GIVEN = """
    jsonb_to_recordset(:consents) AS new(
        phone text, source text, wording text, written boolean, given_at timestamptz, address text,
        user_id uuid, message_id uuid
    )
"""

_ADD = f"""
    INSERT INTO consents (
        id, phone, source, wording, written, given_at, address, user_id, message_id
    )
    SELECT gen_random_uuid(), new.phone, new.source, new.wording, new.written, new.given_at,
        new.address, new.user_id, new.message_id
    FROM {_GIVEN}
    WHERE NOT EXISTS ({_SAME.format("new")})
    RETURNING id, phone
"""  # noqa: S608 - built from constants


async def add(tx: Transaction, consents: Sequence[NewConsent]) -> dict[UUID, str]:
    """Add consents, except those that are on record; return the number of each new one by its id.

    Only an import may write them without their numbers' locks: somebody may be finding at this
    moment that one is missing, whom the sweep then wakes.
    """
    rows = await tx.run(_ADD, consents=as_json([asdict(one) for one in consents]))
    return {row.id: row.phone for row in rows}


async def same(tx: Transaction, consent: NewConsent) -> UUID | None:
    """Find the consent on record that says the same as one to add."""
    sql = f"SELECT same.id FROM {_GIVEN} CROSS JOIN LATERAL ({_SAME.format('new')}) AS same LIMIT 1"  # noqa: S608
    return await tx.value(UUID, sql, consents=as_json([asdict(consent)]))


async def needed(tx: Transaction, sequence_id: UUID) -> ConsentNeeded:
    """Read which consent the texts of a sequence take."""
    sql = f"SELECT {_NEEDED.format(purpose='q.purpose')} FROM sequences q WHERE q.id = :id"  # noqa: S608
    return ConsentNeeded(await tx.value(str, sql, id=sequence_id) or ConsentNeeded.NONE)


async def without(tx: Transaction, phones: Sequence[str], sequence_id: UUID) -> set[str]:
    """Read which numbers have not the consent that the texts of a sequence take."""
    return set(await tx.column(_WITHOUT, phones=list(phones), sequence_id=sequence_id))


_ROWS = """
    SELECT k.id, k.phone, k.source, k.wording, k.written, k.given_at, k.recorded_at, k.address,
        k.user_id, u.name AS user_name, k.message_id, m.body AS message_body,
        (
            SELECT min(s.occurred_at) FROM suppressions s
            WHERE s.phone = k.phone AND s.sender_id IS NULL AND s.occurred_at > k.given_at
        ) AS revoked_at
    FROM consents k
    LEFT JOIN users u ON u.id = k.user_id
    LEFT JOIN messages m ON m.id = k.message_id
"""

_OF_NUMBER = f"""
    {_ROWS}
    WHERE k.phone = :phone AND (
        CAST(:after_at AS timestamptz) IS NULL
        OR (k.given_at, k.id) < (:after_at, CAST(:after_id AS uuid))
    )
    ORDER BY k.given_at DESC, k.id DESC LIMIT :limit
"""


async def get(tx: Transaction, consent_id: UUID) -> ConsentRow | None:
    """Read one consent."""
    return await tx.one(ConsentRow, f"{_ROWS} WHERE k.id = :id", id=consent_id)


async def find(
    tx: Transaction, phone: str, *, after: Position | None = None, limit: int
) -> list[ConsentRow]:
    """List the consents of a number, the latest first."""
    return await tx.rows(
        ConsentRow,
        _OF_NUMBER,
        phone=phone,
        after_at=after.value if after else None,
        after_id=after.id if after else None,
        limit=limit,
    )
