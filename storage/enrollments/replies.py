"""What their contacts' texts change in enrollments, beside ending them.

The transaction holds the locks of the numbers and of their enrollments (``lock_enrollments_of``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from domain.statuses.enrollments import PauseReason
from storage.enrollments import timeline
from storage.enrollments.enrollments import go_on
from storage.enrollments.pauses import PAUSE
from storage.event_webhooks import events
from storage.platform.database import Transaction
from storage.tables.sent import LAST_STEP_SENT

RECORD_INBOUND = """
    UPDATE enrollments e SET last_message_at = greatest(e.last_message_at, came.at)
    FROM unnest(CAST(:phones AS text[]), CAST(:moments AS timestamptz[])) AS came(phone, at)
    JOIN contacts c ON c.phone = came.phone
    WHERE e.contact_id = c.id AND e.status = 'active'
"""
"""SQL: contacts of active enrollments texted us; part of the statement that stores their texts."""

_RECORD_REPLIES = """
    UPDATE enrollments e SET replied_at = coalesce(e.replied_at, reply.at)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:moments AS timestamptz[])) AS reply(id, at)
    WHERE e.id = reply.id AND e.status = 'active'
"""

_RECORD_LATE = """
    UPDATE enrollments e SET replied_late_at = greatest(reply.at, e.ended_at),
        last_message_at = greatest(e.last_message_at, reply.at)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:moments AS timestamptz[])) AS reply(id, at)
    WHERE e.id = reply.id AND e.status = 'finished_no_response' AND e.replied_late_at IS NULL
    RETURNING e.id, e.replied_late_at
"""


_RECOUNT_STEPS_OF = f"""
    WITH locked AS (
        SELECT id FROM enrollments WHERE id IN (
            SELECT m.enrollment_id FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.phone = ANY(:phones) AND m.step IS NOT NULL
            AND a.reported_failed AND a.provider_status = 'undelivered'
        )
        ORDER BY id FOR NO KEY UPDATE
    )
    UPDATE enrollments e SET step = {LAST_STEP_SENT} FROM locked WHERE e.id = locked.id
"""  # noqa: S608 - built from constants


async def recount_steps_of(tx: Transaction, phones: Sequence[str]) -> None:
    """Count the last steps sent to numbers again, after they texted us.

    Texts reported ``undelivered`` count as *sent* from then on.
    """
    if phones:
        await tx.run(_RECOUNT_STEPS_OF, phones=phones)


async def record_replies(tx: Transaction, moments: Mapping[UUID, datetime]) -> None:
    """Remember the first replies to active enrollments whose steps go on."""
    if moments:
        await tx.run(_RECORD_REPLIES, ids=list(moments), moments=list(moments.values()))


async def pause_for_replies(tx: Transaction, moments: Mapping[UUID, datetime]) -> None:
    """Pause enrollments that have steps left until a person has read these replies.

    One that a person paused stays paused as it was, and waits for the reply's sake from now on. One
    that waits for an earlier reply is left alone. A text that is under way goes on.
    """
    if not moments:
        return
    reason = PauseReason.REPLIED
    asked = {"ids": list(moments), "replied": list(moments.values()), "reason": reason}
    paused = await go_on(tx, PAUSE, **asked)
    await timeline.note(tx, paused, "paused", because=reason.value)
    await events.enrollments_paused(tx, paused)


async def record_late(tx: Transaction, moments: Mapping[UUID, datetime]) -> None:
    """Note that contacts replied after their enrollments ended without a response, once each.

    A text from before the end that was fetched or corrected after it counts from the end on.
    """
    if not moments:
        return
    asked = {"ids": list(moments), "moments": list(moments.values())}
    late = {row.id: row.replied_late_at for row in await tx.run(_RECORD_LATE, **asked)}
    for one in sorted(late):
        await timeline.note(tx, [one], "replied_late", at=late[one])
    await events.enrollments_replied_late(tx, sorted(late))
