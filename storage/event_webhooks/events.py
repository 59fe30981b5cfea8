"""Writing events and their deliveries in the transaction that causes them.

Each function is one statement. It writes the events, whoever wants them (``event_log`` reads them
again), and their deliveries to the endpoints that do. ``data`` holds ids, codes and times only;
``api/schemas/events.py`` has the shape of each.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.event_webhooks.events import ContactChange, EventType
from storage.platform.database import Transaction, Written, as_json, note

# Endpoints are locked against removal, which must not undo what happened. An enrollment's events
# are written while its row is locked, and a contact's while its number or row is, so the numbers of
# a subject's events ascend in the order of the commits. A transaction has its own number before its
# events have theirs: ``event_log`` relies on it. One wake per endpoint and transaction is enough;
# the row keeps the transaction's number, because xmin differs within a savepoint.
_EMIT = """
    WITH wanting AS MATERIALIZED (
        SELECT id FROM event_endpoints
        WHERE disabled_at IS NULL
        AND (types = CAST('[]' AS jsonb) OR types @> to_jsonb(CAST(:type AS text)))
        FOR KEY SHARE
    ),
    locked AS MATERIALIZED (
        SELECT e.id FROM enrollments e WHERE {locked} ORDER BY e.id FOR NO KEY UPDATE
    ),
    told AS (
        INSERT INTO events (event_id, type, subject_id, data, occurred_at)
        SELECT gen_random_uuid(), :type, found.subject_id,
            found.data || :more, clock_timestamp()
        FROM ({found}) AS found(subject_id, data)
        WHERE (SELECT count(*) FROM locked) >= 0 AND pg_current_xact_id() IS NOT NULL
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


def _at(column: str) -> str:
    """Write a moment as ``domain.platform.moments`` does."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


_THESE = "CAST(:ids AS uuid[])"

_ABOUT_ENROLLMENT = (
    "'enrollment_id', e.id, 'sequence_id', e.sequence_id, 'contact_id', e.contact_id,"
    " 'external_id', c.external_id"
)
_ABOUT_MESSAGE = (
    "'message_id', m.id, 'enrollment_id', m.enrollment_id, 'sequence_id', n.sequence_id,"
    " 'contact_id', m.contact_id, 'external_id', c.external_id, 'sender_id', m.sender_id"
)
_COUNTED_FOR = """
    LEFT JOIN LATERAL (
        SELECT jsonb_agg(r.id ORDER BY r.enrolled_at, r.id) AS ids,
            jsonb_agg(r.sequence_id ORDER BY r.enrolled_at, r.id) AS sequence_ids
        FROM unnest(CAST(:replies AS uuid[]), CAST(:answered AS uuid[])) AS of(reply, answered)
        JOIN enrollments r ON r.id = of.answered WHERE of.reply = m.id
    ) counted ON true
"""
_TO_NONE = "CAST('[]' AS jsonb)"
_REPLIED_TO = (
    f"'enrollment_ids', coalesce(counted.ids, {_TO_NONE}),"
    f" 'sequence_ids', coalesce(counted.sequence_ids, {_TO_NONE})"
)


def _of_enrollments(data: str, join: str = "") -> str:
    found = f"""
        SELECT e.id, jsonb_build_object({_ABOUT_ENROLLMENT}, {data})
        FROM enrollments e JOIN contacts c ON c.id = e.contact_id {join}
        WHERE e.id = ANY({_THESE}) ORDER BY e.enrolled_at, e.id
    """  # noqa: S608 - built from constants
    return _EMIT.format(locked="false", found=found)


def _of_messages(data: str, join: str = "") -> str:
    found = f"""
        SELECT coalesce(m.enrollment_id, m.contact_id, m.id),
            jsonb_build_object({_ABOUT_MESSAGE}, {data})
        FROM messages m LEFT JOIN enrollments n ON n.id = m.enrollment_id
        LEFT JOIN contacts c ON c.id = m.contact_id {join}
        WHERE m.id = ANY({_THESE})
    """  # noqa: S608 - built from constants
    locked = f"e.id IN (SELECT enrollment_id FROM messages WHERE id = ANY({_THESE}))"  # noqa: S608
    return _EMIT.format(locked=locked, found=found)


_SENT = f"'step', m.step, 'sent_at', {_at('m.occurred_at')}"

_BY_ID = {
    EventType.ENROLLMENT_CREATED: _of_enrollments(
        f"'status', e.status, 'enrolled_by', e.enrolled_by, 'enrolled_at', {_at('e.enrolled_at')}"
    ),
    EventType.ENROLLMENT_FINISHED: _of_enrollments(
        "'status', e.status, 'step', e.step, 'step_count', e.step_count,"
        f" 'error_code', e.error_code, 'replied_at', {_at('e.replied_at')},"
        f" 'ended_at', {_at('e.ended_at')}, 'ended_by', e.ended_by"
    ),
    EventType.ENROLLMENT_HELD: _of_enrollments(
        "'reason', e.held_reason, 'error_code', e.held_code, 'step', e.position,"
        " 'missing_fields',"
        " CASE WHEN e.held_reason = 'missing_data' THEN e.missing_fields ELSE '[]' END"
    ),
    EventType.ENROLLMENT_RELEASED: _of_enrollments(
        "'reason', was.reason, 'step', e.position, 'probing', e.probing,"
        f" 'paused_at', {_at('e.paused_at')}",
        join="JOIN unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS was(id, reason)"
        " ON was.id = e.id",
    ),
    EventType.ENROLLMENT_PAUSED: _of_enrollments(
        "'reason', coalesce(e.paused_reason, 'by_hand'), 'step', e.position,"
        f" 'paused_at', {_at('e.paused_at')}, 'replied_at', {_at('e.replied_at')},"
        " 'held_reason', e.held_reason"
    ),
    EventType.ENROLLMENT_RESUMED: _of_enrollments(
        f"'step', e.position, 'due_at', {_at('e.due_at')}, 'held_reason', e.held_reason"
    ),
    EventType.ENROLLMENT_REPLIED_LATE: _of_enrollments(
        f"'status', e.status, 'replied_late_at', {_at('e.replied_late_at')},"
        f" 'ended_at', {_at('e.ended_at')}"
    ),
    EventType.MESSAGE_SENT: _of_messages(_SENT),
    EventType.MESSAGE_DELIVERED: _of_messages(_SENT),
    EventType.MESSAGE_FAILED: _of_messages("'step', m.step"),
    EventType.MESSAGE_CANCELED: _of_messages(
        f"'reason', m.cancel_reason, 'send_at', {_at('m.send_at')}"
    ),
    EventType.MESSAGE_DOUBLED: _of_messages("'step', m.step"),
    EventType.MESSAGE_RECEIVED: _of_messages(
        "'kind', m.kind, 'about_message_id', m.about_id, 'is_reply', m.is_reply,"
        f" 'keyword', m.keyword, 'received_at', {_at('m.occurred_at')}, {_REPLIED_TO}",
        join=_COUNTED_FOR,
    ),
    EventType.MESSAGE_KIND_CHANGED: _of_messages(
        f"'kind', m.kind, 'received_at', {_at('m.occurred_at')}, {_REPLIED_TO}",
        join=_COUNTED_FOR,
    ),
}


async def _emit(
    tx: Transaction,
    kind: EventType,
    ids: Sequence[UUID],
    more: Mapping[str, Any] | None = None,
    **values: Any,  # noqa: ANN401 - of the statement's names
) -> None:
    if ids:
        await _run(tx, _BY_ID[kind], type=kind, more=more or {}, ids=ids, **values)


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


async def enrollments_released(tx: Transaction, reasons: Mapping[UUID, str]) -> None:
    """Emit that nothing holds enrollments any more, by what held them, after it was set."""
    kind = EventType.ENROLLMENT_RELEASED
    await _emit(tx, kind, list(reasons), reasons=list(reasons.values()))


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


async def messages_canceled(tx: Transaction, message_ids: Sequence[UUID]) -> None:
    """Emit that texts were canceled before they went, after that was set with its reason."""
    await _emit(tx, EventType.MESSAGE_CANCELED, message_ids)


async def message_doubled(tx: Transaction, message_id: UUID) -> None:
    """Emit that a text went out twice, against the promise."""
    await _emit(tx, EventType.MESSAGE_DOUBLED, [message_id])


async def messages_received(
    tx: Transaction, message_ids: Sequence[UUID], replies: Sequence[tuple[UUID, UUID]]
) -> None:
    """Emit that people texted us, without the texts; ``replies`` are texts with whom they answer.

    That is the enrollment that a text counts for as a reply, an ended one included.
    """
    await _emit(tx, EventType.MESSAGE_RECEIVED, message_ids, **_answered(replies))


async def message_kind_changed(
    tx: Transaction, message_id: UUID, was: str, answered: Sequence[UUID]
) -> None:
    """Emit that a person corrected what a text is, and for which enrollments it counts by that."""
    replies = [(message_id, one) for one in answered]
    kind = EventType.MESSAGE_KIND_CHANGED
    await _emit(tx, kind, [message_id], {"was": was}, **_answered(replies))


def _answered(replies: Sequence[tuple[UUID, UUID]]) -> dict[str, Any]:
    return {"replies": [one for one, _ in replies], "answered": [one for _, one in replies]}


_ABOUT_CONTACT = "'contact_id', c.id, 'external_id', c.external_id"
_ABOUT_PHONES = f"""
    SELECT c.id, jsonb_build_object({_ABOUT_CONTACT}) FROM contacts c
    WHERE c.phone = ANY(CAST(:phones AS text[]))
"""  # noqa: S608 - built from constants
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


_CONTACTS_CHANGED = _EMIT.format(
    locked="false",
    found=f"""
        SELECT c.id, jsonb_build_object({_ABOUT_CONTACT}, 'fields', came.fields)
        FROM jsonb_to_recordset(:changed) AS came(id uuid, fields jsonb)
        JOIN contacts c ON c.id = came.id ORDER BY c.id
    """,  # noqa: S608 - built from constants
)


async def contacts_changed(
    tx: Transaction, changed: Mapping[UUID, Collection[str]], change: ContactChange
) -> None:
    """Emit that contacts were created or updated, after their locked rows were written.

    ``changed`` names the fields of each that have another value now, a custom one as
    ``fields.KEY``; one without any is left out, unless it is new.
    """
    is_new = change is ContactChange.CREATED
    told = [
        {"id": one, "fields": sorted(fields)} for one, fields in changed.items() if fields or is_new
    ]
    if told:
        kind, more = EventType.CONTACT_CHANGED, {"change": change.value}
        await _run(tx, _CONTACTS_CHANGED, type=kind, more=more, changed=as_json(told))


_CONTACT_ERASED = _EMIT.format(
    locked="false",
    found="""
        VALUES (CAST(:id AS uuid), jsonb_build_object(
            'contact_id', CAST(:id AS uuid), 'external_id', NULL, 'fields', CAST('[]' AS jsonb)
        ))
    """,
)
_FORGET_EXTERNAL_ID = """
    UPDATE events SET data = data || '{"external_id": null}'
    WHERE subject_id = ANY(:subjects) AND data ->> 'external_id' IS NOT NULL
"""


async def contact_erased(tx: Transaction, contact_id: UUID, subjects: Sequence[UUID]) -> None:
    """Emit that a locked contact was erased; events about ``subjects`` lose its external id."""
    await tx.run(_FORGET_EXTERNAL_ID, subjects=[contact_id, *subjects])
    kind, more = EventType.CONTACT_CHANGED, {"change": ContactChange.ERASED.value}
    await _run(tx, _CONTACT_ERASED, type=kind, more=more, id=contact_id)


_JOB_FINISHED = _EMIT.format(
    locked="false",
    found=f"""
        SELECT j.id, jsonb_build_object('job_id', j.id, 'kind', j.kind, 'state', j.state,
            'sequence_id', j.params -> 'sequence_id',
            'dry_run', coalesce(CAST(j.params ->> 'dry_run' AS boolean), false),
            'total', j.total, 'done', j.done, 'counts', (
                SELECT coalesce(jsonb_object_agg(code, many), '{{}}') FROM (
                    SELECT code, count(*) AS many FROM job_rows
                    WHERE job_id = j.id AND code IS NOT NULL GROUP BY code
                ) counted
            ), 'error', j.error, 'started_by', j.user_id,
            'created_at', {_at("j.created_at")}, 'ended_at', {_at("j.ended_at")})
        FROM jobs j WHERE j.id = :job_id AND NOT jsonb_exists(j.params, 'check_of')
    """,  # noqa: S608 - built from constants
)


async def job_finished(tx: Transaction, job_id: UUID) -> None:
    """Emit that a job is done, was canceled or failed, after that was set; not of a check."""
    await _run(tx, _JOB_FINISHED, type=EventType.JOB_FINISHED, more={}, job_id=job_id)


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
    """Remove the oldest events past that age, with their deliveries; return how many.

    ``limit`` is how many are looked at.
    """
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
