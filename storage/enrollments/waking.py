"""Which enrollments a change wakes, a page at a time.

Each page is a transaction that locks the wake, lets some enrollments go on and stores where the
next page begins. Repeating one does no harm: a workflow that is woken looks at its row.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from storage.enrollments.enrollments import CONSENTED, LACKS_CONSENT, UNBLOCKED, reconsider
from storage.enrollments.variables import LESS_IS_MISSING
from storage.platform import wakes
from storage.platform.database import Transaction
from storage.platform.wakes import WakeKind

PAGE = 250
"""Most enrollments that one transaction locks or reads: a tenth of a second."""

COUNTED = 10_000
"""Most that are counted while a person waits."""


async def waiting_for(tx: Transaction, sender_id: UUID) -> list[UUID]:
    """Read the sequences with enrollments that wait for a sender to come off hold."""
    sql = """
        SELECT q.id FROM sequences q WHERE q.sender_id = :sender_id AND EXISTS (
            SELECT FROM enrollments e WHERE e.sequence_id = q.id AND e.blocked
            AND e.held_reason = 'sender_on_hold'
        )
    """
    return await tx.column(sql, sender_id=sender_id)


async def consent_changed(tx: Transaction) -> None:
    """Ask for enrollments to go on whose consent the workspace asks for no more."""
    sql = f"""
        SELECT DISTINCT e.sequence_id FROM enrollments e WHERE e.blocked AND {CONSENTED}
    """  # noqa: S608 - a constant
    await wakes.add(tx, WakeKind.UNBLOCKED, await tx.column(sql))


async def awaiting_consent(tx: Transaction, sequence_id: UUID) -> int:
    """Count a sequence's active enrollments that lack the consent it takes, up to ``COUNTED``."""
    sql = f"""
        SELECT count(*) FROM (
            SELECT FROM enrollments e
            WHERE e.sequence_id = :sequence_id AND e.status = 'active' AND {LACKS_CONSENT}
            LIMIT :most
        ) AS waiting
    """  # noqa: S608 - built from constants
    return await tx.value(int, sql, sequence_id=sequence_id, most=COUNTED) or 0


async def cap_changed(tx: Transaction) -> None:
    """Ask for enrollments to look again that wait for room under a cap on texts."""
    sql = "SELECT DISTINCT sequence_id FROM enrollments WHERE waits_for <> '' AND status = 'active'"
    await wakes.add(tx, WakeKind.SEND_WINDOW, await tx.column(sql))


_ANCHORED = """
    SELECT e.id FROM enrollments e
    JOIN steps t ON t.version_id = e.version_id AND t.position = e.position
    WHERE e.contact_id = ANY(:ids) AND e.status = 'active' AND e.activity = 'waiting'
    AND t.anchor_key IS NOT NULL
    ORDER BY e.id
"""


async def data_changed(tx: Transaction, contact_ids: Collection[UUID]) -> None:
    """Ask for enrollments of contacts to go on that wait for what is there now.

    Those whose next step goes by a date look at it again: it may have moved.

    Call it after contacts, variables or consents were written, while whoever decides waits.
    """
    sql = f"""
        SELECT DISTINCT c.id FROM enrollments e JOIN contacts c ON c.id = e.contact_id
        WHERE e.contact_id = ANY(:ids) AND e.status = 'active'
        AND ({LESS_IS_MISSING} OR {CONSENTED})
    """  # noqa: S608 - built from constants
    filled = await tx.column(sql, ids=list(contact_ids)) if contact_ids else ()
    if filled:
        await wakes.add(tx, WakeKind.DATA_FILLED, filled)
    if contact_ids:
        await reconsider(tx, await tx.column(_ANCHORED, ids=list(contact_ids)))


async def add_forgotten(tx: Transaction) -> None:
    """Add the wakes that are missing: for blocked enrollments that may go on."""
    sql = f"""
        INSERT INTO wakes (kind, subject_id)
        SELECT DISTINCT 'unblocked', e.sequence_id FROM enrollments e
        JOIN sequences q ON q.id = e.sequence_id JOIN senders n ON n.id = q.sender_id
        WHERE e.blocked AND {UNBLOCKED}
        AND NOT EXISTS (SELECT FROM wakes w WHERE w.subject_id IN (q.id, n.id))
        UNION
        SELECT 'data_filled', e.contact_id FROM enrollments e
        JOIN contacts c ON c.id = e.contact_id
        WHERE {LESS_IS_MISSING}
        AND NOT EXISTS (SELECT FROM wakes w WHERE w.subject_id = c.id)
    """  # noqa: S608 - built from constants
    await tx.run(sql)


@dataclass(frozen=True)
class Walked:
    """The active enrollments of a page, and where the next begins; None if this is the last."""

    active: Sequence[UUID]
    place: dict[str, Any] | None


async def walk(tx: Transaction, sequence_id: UUID, place: dict[str, Any] | None) -> Walked:
    """Read the next of a sequence's enrollments, in the order in which they were enrolled."""
    sql = f"""
        SELECT id, enrolled_at, status FROM enrollments
        WHERE sequence_id = :sequence_id AND (enrolled_at, id) > (
            coalesce(CAST(:enrolled_at AS timestamptz), '-infinity'),
            coalesce(CAST(:id AS uuid), '{UUID(int=0)}')
        )
        ORDER BY enrolled_at, id LIMIT :limit
    """  # noqa: S608 - a constant
    start = place or {"enrolled_at": None, "id": None}
    rows = (await tx.run(sql, sequence_id=sequence_id, limit=PAGE, **start)).all()
    following = None
    if len(rows) == PAGE:
        last = rows[-1]
        following = {"enrolled_at": last.enrolled_at.isoformat(), "id": str(last.id)}
    return Walked([row.id for row in rows if row.status == "active"], following)


async def apply_send_window(tx: Transaction, enrollment_ids: Sequence[UUID]) -> int:
    """Ask those that wait for a step to apply the new send window; return how many.

    A wider window lets some go sooner; a narrower one is checked when a text would go.
    """
    sql = "SELECT id FROM enrollments WHERE id = ANY(:ids) AND activity = 'waiting'"
    ids = await tx.column(sql, ids=enrollment_ids)
    await reconsider(tx, ids)
    return len(ids)
