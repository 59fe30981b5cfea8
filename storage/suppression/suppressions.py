"""Opted-out numbers, with their evidence."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.platform.folding import folded_name
from domain.platform.paging import Position
from domain.platform.phones import digits
from domain.statuses.messaging import CancelReason
from domain.statuses.suppression import OptOutSource
from storage.contacts.contacts import escaped
from storage.enrollments.one_offs import cancel
from storage.platform.database import Transaction, as_json
from storage.platform.locks import ENROLLMENTS_OF_PHONES


@dataclass(frozen=True)
class Evidence:
    """Why a number is suppressed.

    Attributes:
        occurred_at: The provider's time of the fact.
        message_id: The inbound text that asked for it.
        attempt_id: The attempt that the provider refused.
        user_id: Who did it by hand, or decided what the text meant.
    """

    phone: str
    source: OptOutSource
    occurred_at: datetime
    message_id: UUID | None = None
    attempt_id: UUID | None = None
    user_id: UUID | None = None
    reason: str | None = None


@dataclass(frozen=True)
class OptIn:
    """A text that says START, UNSTOP or YES.

    Attributes:
        occurred_at: The provider's time.
        sender_id: Which sender it came to, if we know it.
        is_reply: It was a YES from a number that was not suppressed: an answer.
    """

    occurred_at: datetime
    sender_id: UUID | None
    is_reply: bool


async def opt_ins(tx: Transaction, phones: Sequence[str]) -> dict[str, list[OptIn]]:
    """Read numbers' opt-in texts since their latest opt-out text, by the provider's time."""
    sql = """
        SELECT m.phone, m.occurred_at, m.sender_id, m.is_reply FROM messages m
        WHERE m.phone = ANY(:phones) AND m.keyword = 'opt_in' AND m.occurred_at >= coalesce(
            (SELECT max(o.occurred_at) FROM messages o
                WHERE o.phone = m.phone AND o.keyword IN ('opt_out', 'plain_wish')),
            '-infinity'
        )
    """
    found: dict[str, list[OptIn]] = {phone: [] for phone in phones}
    for row in await tx.run(sql, phones=phones):
        found[row.phone].append(OptIn(row.occurred_at, row.sender_id, row.is_reply))
    return found


_SUPPRESS = """
    INSERT INTO suppressions (id, phone, sender_id, source, reason, message_id, attempt_id,
        user_id, occurred_at, asked)
    SELECT gen_random_uuid(), phone, :sender_id, source, reason, message_id, attempt_id, user_id,
        occurred_at, source <> 'by_hand'
    FROM jsonb_to_recordset(:facts) AS fact(
        phone text, source text, reason text, message_id uuid, attempt_id uuid, user_id uuid,
        occurred_at timestamptz
    )
    ON CONFLICT (phone, sender_id) WHERE lifted_at IS NULL AND phone IS NOT NULL
    DO UPDATE SET
        source = excluded.source, reason = excluded.reason,
        message_id = excluded.message_id, attempt_id = excluded.attempt_id,
        user_id = excluded.user_id, occurred_at = excluded.occurred_at
    WHERE suppressions.source <> 'by_hand' AND (
        excluded.occurred_at > suppressions.occurred_at OR excluded.source = 'by_hand'
    )
    RETURNING phone
"""


async def suppress(tx: Transaction, facts: Sequence[Evidence], *, sender_id: UUID | None) -> None:
    """Suppress numbers, each with its evidence, everywhere or for one sender.

    The latest evidence stands, as an opt-in lifts what is older than itself; but what a person
    decided is replaced by nothing, and replaces what a text could lift. That somebody was asked to
    stop is never forgotten meanwhile.
    """
    told = as_json([asdict(one) for one in facts])
    written = await tx.column(_SUPPRESS, sender_id=sender_id, facts=told)
    by_text = {one.phone for one in facts if one.source is not OptOutSource.BY_HAND}
    asked = sorted(by_text - set(written))  # a younger fact, or a person's, stands
    if asked:
        sql = """
            UPDATE suppressions SET asked = true
            WHERE phone = ANY(:phones) AND sender_id IS NOT DISTINCT FROM :sender_id
            AND lifted_at IS NULL AND NOT asked
        """
        await tx.run(sql, phones=asked, sender_id=sender_id)


@dataclass(frozen=True)
class OptInText:
    """A text that lifts what suppresses its number.

    Attributes:
        sender_id: Which sender it came to, if we know it.
        at: The provider's time; younger suppressions stay.
        message_id: The text.
    """

    phone: str
    sender_id: UUID | None
    at: datetime
    message_id: UUID


_LIFT = """
    UPDATE suppressions s SET lifted_at = said.at, lifted_message_id = said.message_id
    FROM jsonb_to_recordset(:texts) AS said(
        phone text, sender_id uuid, at timestamptz, message_id uuid
    )
    WHERE s.phone = said.phone AND s.lifted_at IS NULL AND s.source = ANY(:sources)
    AND s.occurred_at <= said.at AND (s.sender_id IS NULL OR s.sender_id = said.sender_id)
    RETURNING s.phone
"""


async def lift(
    tx: Transaction, texts: Sequence[OptInText], sources: Sequence[OptOutSource]
) -> set[str]:
    """Lift what texts of different numbers can lift, of some sources; return whose was lifted."""
    said = as_json([asdict(one) for one in texts])
    return set(await tx.column(_LIFT, texts=said, sources=sources))


_ACTIVE_OF = f"""
    SELECT e.id, coalesce(
        (SELECT c.phone FROM contacts c WHERE c.id = e.contact_id AND c.phone = ANY(:phones)),
        (
            SELECT m.phone FROM messages m
            WHERE m.enrollment_id = e.id AND m.phone = ANY(:phones) LIMIT 1
        )
    ) AS phone
    FROM enrollments e WHERE e.status = 'active' AND e.id = ANY(ARRAY({ENROLLMENTS_OF_PHONES}))
    AND (
        CAST(:enrolled_before AS timestamptz) IS NULL OR e.enrolled_at <= :enrolled_before
    )
    AND (
        CAST(:sender_id AS uuid) IS NULL
        OR e.sequence_id IN (SELECT id FROM sequences WHERE sender_id = :sender_id)
    )
"""  # noqa: S608 - built from constants


async def active_of(
    tx: Transaction,
    phones: Sequence[str],
    *,
    enrolled_before: datetime | None = None,
    sender_id: UUID | None = None,
) -> dict[UUID, str]:
    """Read the active enrollments of numbers, each with its number.

    An enrollment is a number's if its contact has the number, or had it when a text went there.
    Given ``sender_id``, only those whose sequence sends from there.
    """
    asked = {"phones": phones, "enrolled_before": enrolled_before, "sender_id": sender_id}
    return {row.id: row.phone for row in await tx.run(_ACTIVE_OF, **asked)}


_ONE_OFFS_TO = """
    m.phone = ANY(:phones)
    AND (CAST(:sender_id AS uuid) IS NULL OR m.sender_id = :sender_id)
    AND (NOT :scheduled OR m.send_at IS NOT NULL)
    AND (
        CAST(:written_before AS timestamptz) IS NULL
        OR coalesce(m.written_at, m.created_at) < :written_before
    )
"""


async def cancel_one_offs(
    tx: Transaction,
    phones: Sequence[str],
    *,
    sender_id: UUID | None,
    scheduled: bool = False,
    written_before: datetime | None = None,
) -> None:
    """Cancel one-off texts to suppressed numbers that would go.

    ``scheduled``: only those that were written to be sent later, tried already or not.
    """
    asked = {"phones": phones, "sender_id": sender_id, "scheduled": scheduled}
    reason = CancelReason.OPTED_OUT
    await cancel(tx, _ONE_OFFS_TO, reason, **asked, written_before=written_before)


@dataclass(frozen=True)
class SuppressionRow:
    """A suppression with its evidence.

    Attributes:
        phone: E.164; None of an erased contact's number.
        contact_id: Who has the number now, if anyone.
        sender_id: The only sender it holds for; None for everyone.
        asked: The person, or the provider for them, said so, whatever was done by hand besides.
        lifted_message_id: The opt-in text that lifted it.
        message_body: What the text said that asked for it.
        error_code: The provider's code, if it refused a text.
        lifted_message_body: What the text said that lifted it.
    """

    id: UUID
    phone: str | None
    contact_id: UUID | None
    sender_id: UUID | None
    source: OptOutSource
    asked: bool
    reason: str | None
    message_id: UUID | None
    user_id: UUID | None
    user_name: str | None
    occurred_at: datetime
    created_at: datetime
    lifted_at: datetime | None
    lifted_by: UUID | None
    lifted_by_name: str | None
    lifted_reason: str | None
    lifted_message_id: UUID | None
    contact_name: str | None
    sender_name: str | None
    message_body: str | None
    error_code: int | None
    lifted_message_body: str | None


_ROWS = """
    SELECT s.id, s.phone, c.id AS contact_id, s.sender_id, s.source, s.asked, s.reason,
        s.message_id, s.user_id, u.name AS user_name, s.occurred_at, s.created_at, s.lifted_at,
        s.lifted_by, l.name AS lifted_by_name, s.lifted_reason, s.lifted_message_id,
        btrim(c.first_name || ' ' || c.last_name) AS contact_name, f.name AS sender_name,
        m.body AS message_body, a.error_code, o.body AS lifted_message_body
    FROM suppressions s
    LEFT JOIN contacts c ON c.phone = s.phone
    LEFT JOIN users u ON u.id = s.user_id
    LEFT JOIN users l ON l.id = s.lifted_by
    LEFT JOIN senders f ON f.id = s.sender_id
    LEFT JOIN messages m ON m.id = s.message_id
    LEFT JOIN messages o ON o.id = s.lifted_message_id
    LEFT JOIN attempts a ON a.id = s.attempt_id
"""

_STANDING_OF = f"""
    {_ROWS}
    WHERE s.phone = :phone AND s.lifted_at IS NULL
    AND s.sender_id IS NOT DISTINCT FROM CAST(:sender_id AS uuid)
"""

_PAGE = f"""
    {_ROWS}
    WHERE (
        :search = ''
        OR (:digits <> '' AND s.phone LIKE '%' || :digits || '%')
        OR (btrim(:escaped) <> '' AND c.search_name LIKE '%' || :escaped || '%')
    )
    AND (cardinality(CAST(:sources AS text[])) = 0 OR s.source = ANY(:sources))
    AND (CAST(:standing AS boolean) IS NULL OR (s.lifted_at IS NULL) = :standing)
    AND (
        CAST(:after_at AS timestamptz) IS NULL
        OR (s.created_at, s.id) < (:after_at, CAST(:after_id AS uuid))
    )
    ORDER BY s.created_at DESC, s.id DESC LIMIT :limit
"""


async def standing(tx: Transaction, phone: str, sender_id: UUID | None) -> SuppressionRow | None:
    """Read the active suppression of a number for everyone or for exactly this sender."""
    return await tx.one(SuppressionRow, _STANDING_OF, phone=phone, sender_id=sender_id)


class ActiveSuppression(NamedTuple):
    """A suppression for everyone, and which contact has its number."""

    id: UUID
    contact_id: UUID | None


async def standing_everywhere(
    tx: Transaction, phones: Sequence[str]
) -> dict[str, ActiveSuppression]:
    """Read the active suppressions for everyone of these numbers, by number."""
    sql = """
        SELECT s.phone, s.id, c.id FROM suppressions s LEFT JOIN contacts c ON c.phone = s.phone
        WHERE s.phone = ANY(:phones) AND s.sender_id IS NULL AND s.lifted_at IS NULL
    """
    return {phone: ActiveSuppression(*row) for phone, *row in await tx.run(sql, phones=phones)}


async def get(tx: Transaction, suppression_id: UUID) -> SuppressionRow | None:
    """Read one suppression."""
    return await tx.one(SuppressionRow, f"{_ROWS} WHERE s.id = :id", id=suppression_id)


async def all_of(tx: Transaction, phone: str) -> list[SuppressionRow]:
    """Read all suppressions of a number, newest first."""
    sql = f"{_ROWS} WHERE s.phone = :phone ORDER BY s.created_at DESC, s.id DESC"
    return await tx.rows(SuppressionRow, sql, phone=phone)


async def find(
    tx: Transaction,
    *,
    search: str,
    sources: Sequence[OptOutSource],
    is_standing: bool | None,
    after: Position | None,
    limit: int,
) -> list[SuppressionRow]:
    """List suppressions, newest first.

    ``search`` is some of the number's digits, or of its contact's name; it and ``sources`` are
    empty for all. Those that were lifted do not stand; ``is_standing`` None is for both.
    """
    return await tx.rows(
        SuppressionRow,
        _PAGE,
        search=search,
        digits=digits(search),
        escaped=escaped(folded_name(search)),
        sources=sources,
        standing=is_standing,
        after_at=after.value if after else None,
        after_id=after.id if after else None,
        limit=limit,
    )


async def lift_by_hand(
    tx: Transaction, suppression_id: UUID, *, user_id: UUID, reason: str
) -> bool:
    """Lift one suppression; False if it was lifted before. The row stays as evidence."""
    sql = """
        UPDATE suppressions
        SET lifted_at = clock_timestamp(), lifted_by = :user_id, lifted_reason = :reason
        WHERE id = :id AND lifted_at IS NULL
    """
    return await tx.count(sql, id=suppression_id, user_id=user_id, reason=reason) > 0
