"""Writing events and their deliveries in the transaction that causes them.

Each function is one statement, which first looks for an endpoint that wants the event: without one
it writes nothing and reads no further. ``data`` holds ids, codes and times only.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.event_webhooks.events import EventType
from storage.platform.database import Transaction, Written, note

# Endpoints are locked against removal, which must not undo what happened. An enrollment's events
# are written while its row is locked, so their numbers ascend in the order of the commits, in which
# an endpoint gets them. One wake per endpoint and transaction is enough; the row keeps the
# transaction's number, because xmin differs within a savepoint.
_EMIT = """
    WITH wanting AS MATERIALIZED (
        SELECT id FROM event_endpoints
        WHERE disabled_at IS NULL
        AND (types = CAST('[]' AS jsonb) OR types @> to_jsonb(CAST(:type AS text)))
        FOR KEY SHARE
    ),
    locked AS MATERIALIZED (
        SELECT e.id FROM enrollments e
        WHERE EXISTS (SELECT FROM wanting) AND {locked}
        ORDER BY e.id FOR NO KEY UPDATE
    ),
    told AS (
        INSERT INTO events (event_id, type, subject_id, data, occurred_at)
        SELECT gen_random_uuid(), :type, found.subject_id,
            found.data || :more, clock_timestamp()
        FROM ({found}) AS found(subject_id, data)
        WHERE EXISTS (SELECT FROM wanting) AND (SELECT count(*) FROM locked) >= 0
        RETURNING id, subject_id
    ),
    on_the_way AS (
        INSERT INTO event_deliveries (endpoint_id, event_id, subject_id)
        SELECT w.id, t.id, t.subject_id FROM wanting w CROSS JOIN told t
    )
    INSERT INTO outbox (kind, subject_id, payload)
    SELECT 'wake_events', w.id, jsonb_build_object('by', CAST(pg_current_xact_id() AS text))
    FROM wanting w
    WHERE EXISTS (SELECT FROM told) AND NOT EXISTS (
        SELECT FROM outbox o WHERE o.kind = 'wake_events' AND o.subject_id = w.id
        AND o.payload ->> 'by' = CAST(pg_current_xact_id() AS text)
    )
"""

_THESE = "CAST(:ids AS uuid[])"

_ABOUT_ENROLLMENT = (
    "'enrollment_id', e.id, 'sequence_id', e.sequence_id, 'contact_id', e.contact_id"
)
_ABOUT_MESSAGE = (
    "'message_id', m.id, 'enrollment_id', m.enrollment_id, 'contact_id', m.contact_id,"
    " 'sender_id', m.sender_id"
)


def _of_enrollments(data: str) -> str:
    found = f"""
        SELECT e.id, jsonb_build_object({_ABOUT_ENROLLMENT}, {data}) FROM enrollments e
        WHERE e.id = ANY({_THESE}) ORDER BY e.enrolled_at, e.id
    """  # noqa: S608 - built from constants
    return _EMIT.format(locked="false", found=found)


def _of_messages(data: str) -> str:
    found = f"""
        SELECT coalesce(m.enrollment_id, m.contact_id, m.id),
            jsonb_build_object({_ABOUT_MESSAGE}, {data})
        FROM messages m WHERE m.id = ANY({_THESE})
    """  # noqa: S608 - built from constants
    locked = f"e.id IN (SELECT enrollment_id FROM messages WHERE id = ANY({_THESE}))"  # noqa: S608
    return _EMIT.format(locked=locked, found=found)


_BY_ID = {
    EventType.ENROLLMENT_CREATED: _of_enrollments(
        "'status', e.status, 'enrolled_by', e.enrolled_by, 'enrolled_at', e.enrolled_at"
    ),
    EventType.ENROLLMENT_FINISHED: _of_enrollments(
        "'status', e.status, 'step', e.step, 'step_count', e.step_count,"
        " 'error_code', e.error_code, 'replied_at', e.replied_at,"
        " 'ended_at', e.ended_at, 'ended_by', e.ended_by"
    ),
    EventType.ENROLLMENT_HELD: _of_enrollments(
        "'reason', e.held_reason, 'error_code', e.held_code, 'step', e.position,"
        " 'missing_fields',"
        " CASE WHEN e.held_reason = 'missing_data' THEN e.missing_fields ELSE '[]' END"
    ),
    EventType.ENROLLMENT_PAUSED: _of_enrollments(
        "'reason', coalesce(e.paused_reason, 'by_hand'), 'step', e.position,"
        " 'paused_at', e.paused_at, 'replied_at', e.replied_at"
    ),
    EventType.ENROLLMENT_RESUMED: _of_enrollments("'step', e.position, 'due_at', e.due_at"),
    EventType.ENROLLMENT_REPLIED_LATE: _of_enrollments(
        "'status', e.status, 'replied_late_at', e.replied_late_at, 'ended_at', e.ended_at"
    ),
    EventType.MESSAGE_SENT: _of_messages("'step', m.step, 'sent_at', m.occurred_at"),
    EventType.MESSAGE_DELIVERED: _of_messages("'step', m.step, 'sent_at', m.occurred_at"),
    EventType.MESSAGE_FAILED: _of_messages("'step', m.step"),
    EventType.MESSAGE_DOUBLED: _of_messages("'step', m.step"),
    EventType.MESSAGE_RECEIVED: _of_messages(
        "'kind', m.kind, 'about_message_id', m.about_id, 'is_reply', m.is_reply,"
        " 'keyword', m.keyword, 'received_at', m.occurred_at"
    ),
}


async def _emit(
    tx: Transaction, kind: EventType, ids: Sequence[UUID], more: Mapping[str, Any] | None = None
) -> None:
    if ids:
        await _run(tx, _BY_ID[kind], type=kind, more=more or {}, ids=ids)


async def _run(tx: Transaction, statement: str, **values: object) -> None:
    if await tx.count(statement, **values):
        note(tx, Written.OUTBOX)


async def enrollments_created(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Emit that contacts were enrolled, after their rows were written."""
    await _emit(tx, EventType.ENROLLMENT_CREATED, enrollment_ids)


async def enrollments_finished(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Emit that enrollments have a final status, after it was set."""
    await _emit(tx, EventType.ENROLLMENT_FINISHED, enrollment_ids)


async def enrollment_held(tx: Transaction, enrollment_id: UUID) -> None:
    """Emit that an enrollment waits for its sender or for a person, after it was set."""
    await _emit(tx, EventType.ENROLLMENT_HELD, [enrollment_id])


async def enrollments_paused(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Emit that enrollments wait for a person, because one paused them or a reply did."""
    await _emit(tx, EventType.ENROLLMENT_PAUSED, enrollment_ids)


async def enrollments_resumed(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Emit that a person let paused enrollments go on."""
    await _emit(tx, EventType.ENROLLMENT_RESUMED, enrollment_ids)


async def enrollments_replied_late(tx: Transaction, enrollment_ids: Sequence[UUID]) -> None:
    """Emit that contacts replied after their enrollments ended without a response."""
    await _emit(tx, EventType.ENROLLMENT_REPLIED_LATE, enrollment_ids)


async def message_sent(tx: Transaction, message_id: UUID) -> None:
    """Emit that the provider has a text."""
    await _emit(tx, EventType.MESSAGE_SENT, [message_id])


async def messages_delivered(tx: Transaction, message_ids: Sequence[UUID]) -> None:
    """Emit that texts arrived."""
    await _emit(tx, EventType.MESSAGE_DELIVERED, message_ids)


async def message_failed(
    tx: Transaction, message_id: UUID, *, error_code: int | None, meaning: str
) -> None:
    """Emit that a text failed for good."""
    more = {"error_code": error_code, "meaning": meaning}
    await _emit(tx, EventType.MESSAGE_FAILED, [message_id], more)


async def message_doubled(tx: Transaction, message_id: UUID) -> None:
    """Emit that a text went out twice, against the promise."""
    await _emit(tx, EventType.MESSAGE_DOUBLED, [message_id])


async def messages_received(tx: Transaction, message_ids: Sequence[UUID]) -> None:
    """Emit that people texted us, without the texts."""
    await _emit(tx, EventType.MESSAGE_RECEIVED, message_ids)


_ABOUT_PHONES = """
    SELECT c.id, jsonb_build_object('contact_id', c.id) FROM contacts c
    WHERE c.phone = ANY(CAST(:phones AS text[]))
"""
# More evidence for an active suppression is no event.
_NEWLY_OPTED_OUT = f"""
    {_ABOUT_PHONES} AND EXISTS (
        SELECT FROM suppressions s
        WHERE s.phone = c.phone AND s.lifted_at IS NULL AND s.created_at = now()
        AND s.sender_id IS NOT DISTINCT FROM CAST(:sender_id AS uuid)
    )
"""  # noqa: S608 - built from constants
# Nor is lifting one of two suppressions.
_NO_LONGER_OPTED_OUT = f"""
    {_ABOUT_PHONES} AND NOT EXISTS (
        SELECT FROM suppressions s
        WHERE s.phone = c.phone AND s.lifted_at IS NULL AND s.sender_id IS NULL
    )
"""
_OPTED_IN = _EMIT.format(locked="false", found=_NO_LONGER_OPTED_OUT)
_OPTED_OUT = _EMIT.format(locked="false", found=_NEWLY_OPTED_OUT)


async def contacts_opted_out(
    tx: Transaction, phones: Sequence[str], *, source: str, sender_id: UUID | None
) -> None:
    """Emit that contacts opted out, of those numbers this transaction suppressed.

    ``source`` is an ``OptOutSource``; ``sender_id`` None stands for all senders.
    """
    more = {"source": source, "sender_id": sender_id}
    kind = EventType.CONTACT_OPTED_OUT
    await _run(tx, _OPTED_OUT, type=kind, more=more, phones=phones, sender_id=sender_id)


async def contacts_opted_in(
    tx: Transaction, phones: Sequence[str], *, source: str, sender_id: UUID | None
) -> None:
    """Emit that contacts may be texted again; arguments as of ``contacts_opted_out``."""
    more = {"source": source, "sender_id": sender_id}
    await _run(tx, _OPTED_IN, type=EventType.CONTACT_OPTED_IN, more=more, phones=phones)


async def ping(tx: Transaction, endpoint_id: UUID) -> UUID:
    """Write a test event for one endpoint, whatever types it wants; return the event's id."""
    sql = """
        WITH told AS (
            INSERT INTO events (event_id, type, subject_id, data)
            VALUES (gen_random_uuid(), :type, :endpoint_id,
                jsonb_build_object('endpoint_id', CAST(:endpoint_id AS uuid)))
            RETURNING id, event_id, subject_id
        ),
        on_the_way AS (
            INSERT INTO event_deliveries (endpoint_id, event_id, subject_id)
            SELECT subject_id, id, subject_id FROM told
        )
        SELECT event_id FROM told
    """
    row = await tx.run(sql, type=EventType.TEST_PING, endpoint_id=endpoint_id)
    event_id: UUID = row.scalar_one()
    return event_id


async def forget(tx: Transaction, kept: timedelta, limit: int) -> int:
    """Remove the oldest events past that age, with their deliveries; return how many."""
    sql = """
        WITH old AS MATERIALIZED (
            SELECT id FROM (
                SELECT id, occurred_at FROM events ORDER BY id LIMIT :limit
            ) oldest
            WHERE occurred_at < now() - :kept
        ),
        gone AS (DELETE FROM event_deliveries WHERE event_id IN (SELECT id FROM old))
        DELETE FROM events WHERE id IN (SELECT id FROM old)
    """
    return await tx.count(sql, kept=kept, limit=limit)
