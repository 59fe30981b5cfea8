"""The statements of the send path; ``storage.platform.locks`` has the order of its locks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID, uuid4

from domain.event_webhooks.events import ContactChange
from domain.messaging.attempts import LastAttempt
from domain.messaging.deciding import OneOffFacts, StepFacts
from domain.sequences.steps import patience
from domain.sequences.texts import Value, merge_values, missing
from domain.sequences.timing import Whereabouts, anchored_due
from domain.statuses.contacts import LineType
from domain.statuses.enrollments import EnrollmentPhase
from domain.statuses.sequences import LatePolicy
from storage.contacts import consents
from storage.contacts.contacts import WHEREABOUTS
from storage.contacts.fields import VALUES as FIELD_VALUES
from storage.enrollments.enrollments import START
from storage.event_webhooks import events
from storage.messaging.caps import RECENT
from storage.platform.database import Transaction, as_json
from storage.platform.locks import LOCK_NUMBER, SHARE_SENDER, SHARE_SEQUENCE, lock_number_at_once
from storage.platform.rows import made
from storage.platform.workspace import HOLD_ZONE, ZONE_SQL
from storage.sequences.sequences import hours_sql
from storage.tables.sent import ANYTHING_SENT

_LOCK_STEP = f"""
    WITH locked AS MATERIALIZED (
        SELECT e.id, c.phone, q.sender_id,
            {LOCK_NUMBER.format(phone="c.phone")}, {HOLD_ZONE},
            {SHARE_SEQUENCE.format(id="q.id")},
            {SHARE_SENDER.format(id="q.sender_id")}
        FROM enrollments e
        JOIN contacts c ON c.id = e.contact_id
        JOIN sequences q ON q.id = e.sequence_id
        WHERE e.id = :id
    )
    SELECT locked.phone, locked.sender_id FROM locked JOIN enrollments e ON e.id = locked.id
    FOR UPDATE OF e
"""  # noqa: S608 - built from constants

_LOCK_MESSAGE = f"SELECT phone, {LOCK_NUMBER.format(phone='phone')} FROM messages WHERE id = :id"  # noqa: S608 - constants

_LOCK_ENROLLMENT_OF_MESSAGE = """
    SELECT e.id FROM messages m JOIN enrollments e ON e.id = m.enrollment_id
    WHERE m.id = :id FOR UPDATE OF e
"""

_SUPPRESSED = """
    EXISTS (
        SELECT 1 FROM suppressions s
        WHERE s.phone = {phone} AND s.lifted_at IS NULL
        AND (s.sender_id IS NULL OR s.sender_id = n.id)
    )
"""

_LOAD_STEP = f"""
    SELECT e.id, e.status, e.held_reason, e.position, e.step, e.step_count, e.pass AS pass_number,
        e.due_at, e.next_send_at, e.reply_until, e.last_sent_at, e.probing,
        e.contact_id, e.activity AS phase, e.paused_at IS NOT NULL AS paused,
        {WHEREABOUTS}, c.first_name, c.last_name, c.line_type,
        {FIELD_VALUES} AS fields, e.variables,
        q.state AS sequence_state, {hours_sql()} AS hours, q.sender_id,
        n.phone AS sender_phone, n.messaging_service_sid, n.held_at IS NOT NULL AS sender_on_hold,
        n.next_probe_at,
        t.body, coalesce(t.media_urls, '[]') AS media_urls, t.delay_seconds, t.send_at,
        t.late, t.late_hours, e.replied_at, t.at_time, t.anchor_key, t.anchor_offset_seconds,
        p.send_at AS previous_send_at,
        m.id AS message_id, m.next_try_at,
        m.phone AS attempt_phone, m.sender_id AS attempt_sender_id,
        a.id AS attempt_id, a.outcome AS last_outcome, a.number, a.started_at, a.call_before,
        a.absent_once_at,
        CASE WHEN e.step > 0 THEN false WHEN a.id IS NULL THEN true ELSE NOT {ANYTHING_SENT} END
            AS nothing_sent,
        {_SUPPRESSED.format(phone="c.phone")} AS suppressed,
        {consents.IS_MISSING.format(phone="c.phone", purpose="q.purpose")} AS consent_missing,
        {consents.BEST.format(phone="c.phone")} AS consent_id,
        {RECENT} AS recent,
        EXISTS (
            SELECT 1 FROM inbound_events i WHERE i.phone = c.phone AND i.applied_at IS NULL
        ) AS inbound_pending,
        {ZONE_SQL} AS workspace_zone, clock_timestamp() AS read_at
    FROM enrollments e
    JOIN contacts c ON c.id = e.contact_id
    JOIN sequences q ON q.id = e.sequence_id
    JOIN senders n ON n.id = q.sender_id
    LEFT JOIN steps t ON t.version_id = e.version_id AND t.position = e.position
    LEFT JOIN steps p ON p.version_id = e.version_id AND p.position = e.position - 1
    LEFT JOIN messages m ON m.enrollment_id = e.id AND m.step = e.position AND m.pass = e.pass
    LEFT JOIN LATERAL (
        SELECT * FROM attempts WHERE message_id = m.id ORDER BY number DESC LIMIT 1
    ) a ON true
    WHERE e.id = :id
"""  # noqa: S608 - built from constants

_LOAD_MESSAGE = f"""
    SELECT m.id, m.status, m.phone, m.contact_id, m.enrollment_id, m.body, m.media_urls,
        m.next_try_at, coalesce(m.next_try_at, m.created_at) AS due_at, m.sender_id, c.line_type,
        m.cancel_reason IS NOT NULL OR coalesce(m.created_at <= e.ended_at AND e.status IN (
            'finished_stopped', 'finished_responded', 'opted_out', 'omitted_opted_out'
        ), false) AS overtaken,
        n.phone AS sender_phone, n.messaging_service_sid, n.held_at IS NOT NULL AS sender_on_hold,
        n.next_probe_at, m.phone AS attempt_phone, m.sender_id AS attempt_sender_id,
        a.id AS attempt_id, a.outcome AS last_outcome, a.number, a.started_at, a.call_before,
        a.absent_once_at,
        {_SUPPRESSED.format(phone="m.phone")} AS suppressed,
        {consents.BEST.format(phone="m.phone")} AS consent_id,
        EXISTS (
            SELECT 1 FROM inbound_events i WHERE i.phone = m.phone AND i.applied_at IS NULL
        ) AS inbound_pending,
        clock_timestamp() AS read_at
    FROM messages m
    JOIN senders n ON n.id = m.sender_id
    LEFT JOIN contacts c ON c.id = m.contact_id
    LEFT JOIN enrollments e ON e.id = m.enrollment_id
    LEFT JOIN LATERAL (
        SELECT * FROM attempts WHERE message_id = m.id ORDER BY number DESC LIMIT 1
    ) a ON true
    WHERE m.id = :id
    FOR UPDATE OF m
"""  # noqa: S608 - built from constants


@dataclass(frozen=True, kw_only=True)
class StepRow(StepFacts):
    """An enrollment with all that bears on its next step, and all that its text is made of.

    ``values`` are those of the text's merge fields, ``consent_id`` the consent that it goes under,
    if there is one. ``due_at`` of a step that goes by a date is what that says now, whatever was
    ``stored_due_at``; None if the date is missing. ``read_at`` is now, by the clock that dates
    attempts and texts: a worker's own may be wrong.
    """

    id: UUID
    read_at: datetime
    phase: EnrollmentPhase | None
    step: int
    pass_number: int
    next_send_at: datetime | None
    contact_id: UUID
    phone: str
    values: Mapping[str, Value]
    sender_id: UUID
    sender_phone: str | None
    messaging_service_sid: str | None
    next_probe_at: datetime | None
    body: str | None
    media_urls: Sequence[str]
    message_id: UUID | None
    stored_due_at: datetime | None
    replied_at: datetime | None
    consent_id: UUID | None
    last_attempt: LastAttempt | None


@dataclass(frozen=True, kw_only=True)
class MessageRow(OneOffFacts):
    """A one-off text locked for sending; ``read_at`` and ``consent_id`` are as a step's."""

    id: UUID
    read_at: datetime
    phone: str
    body: str
    media_urls: Sequence[str]
    due_at: datetime
    sender_id: UUID
    sender_phone: str | None
    messaging_service_sid: str | None
    consent_id: UUID | None
    last_attempt: LastAttempt | None


_MERGED = ("first_name", "last_name", "phone", "fields", "variables")


async def lock_step(tx: Transaction, enrollment_id: UUID, zone: str) -> StepRow | None:
    """Lock an enrollment, its number, sequence and sender, and read what bears on its next step.

    Lock first, then read: columns joined before a lock was granted are stale. So may be the number
    and the sender by which the locks were chosen: if one is another by now, that is locked too.

    The transaction must hold none of these locks. ``zone`` is the workspace's, where nobody has set
    one.

    Raises:
        MovedError: It is another number, and somebody else has that one; try again.
    """
    while True:
        locked = (await tx.run(_LOCK_STEP, id=enrollment_id)).one_or_none()
        if locked is None:
            return None
        row = await read_step(tx, enrollment_id, zone)
        if row is None:  # erased while its number was waited for
            return None
        if (row.phone, row.sender_id) == (locked.phone, locked.sender_id):
            return row
        await lock_number_at_once(tx, row.phone)


async def read_step(tx: Transaction, enrollment_id: UUID, zone: str) -> StepRow | None:
    """Read what bears on an enrollment's next step, as of now: nothing is locked."""
    row = (await tx.run(_LOAD_STEP, id=enrollment_id)).mappings().one_or_none()
    if row is None:
        return None
    gap = timedelta(seconds=row["delay_seconds"] or 0)
    if row["send_at"] is not None:
        previous = row["previous_send_at"] or row["send_at"]
        gap = row["send_at"] - previous
    values = merge_values(*(row[name] for name in _MERGED))
    clock = made(Whereabouts, row).clock(row["workspace_zone"] or zone)
    lacking = missing(row["body"] or "", values, has_media=bool(row["media_urls"]))
    due_at, key = row["due_at"], row["anchor_key"]
    if key is not None:
        offset = timedelta(seconds=row["anchor_offset_seconds"])
        due_at = anchored_due(values.get(key), offset, row["at_time"], clock)
        if due_at is None:
            lacking = tuple(dict.fromkeys((key, *lacking)))
        else:
            gap = timedelta.max
    return made(
        StepRow,
        row,
        gap=gap,
        patience=row["late"] and patience(LatePolicy(row["late"]), row["late_hours"]),
        due_at=due_at,
        stored_due_at=row["due_at"],
        values=values,
        missing=lacking,
        clock=clock,
        last_attempt=_last_attempt(row),
    )


async def lock_message(tx: Transaction, message_id: UUID) -> MessageRow | None:
    """Lock a one-off text and its number, and read what bears on it.

    One that waits for its time follows its contact to another number; then that is locked too.

    Raises:
        MovedError: It goes to another number now, and somebody else has that one; try again.
    """
    locked = {row.phone for row in await tx.run(_LOCK_MESSAGE, id=message_id)}
    await tx.run(_LOCK_ENROLLMENT_OF_MESSAGE, id=message_id)
    while True:
        row = (await tx.run(_LOAD_MESSAGE, id=message_id)).mappings().one_or_none()
        if row is None:  # unknown, or erased while its number was waited for
            return None
        if row["phone"] in locked:
            return made(MessageRow, row, last_attempt=_last_attempt(row))
        await lock_number_at_once(tx, row["phone"])
        locked.add(row["phone"])


def _last_attempt(row: Mapping[Any, Any]) -> LastAttempt | None:
    if row["attempt_id"] is None:
        return None
    return made(
        LastAttempt,
        row,
        id=row["attempt_id"],
        phone=row["attempt_phone"],
        sender_id=row["attempt_sender_id"],
        outcome=row["last_outcome"],
    )


_NEW_STEP_MESSAGE = """
    INSERT INTO messages (id, direction, contact_id, phone, sender_id, enrollment_id, step, pass,
        body, media_urls, status, failed_tries, consent_id)
    VALUES (:message_id, 'outbound', :contact_id, :phone, :sender_id, :enrollment_id, :step, :pass,
        :body, :media_urls, 'sending', 0, :consent_id)
"""

_REUSE_MESSAGE = """
    UPDATE messages SET status = 'sending', phone = :phone, sender_id = :sender_id, body = :body,
        consent_id = :consent_id, error_code = NULL, next_try_at = NULL,
        created_at = CASE WHEN send_at = next_try_at THEN now() ELSE created_at END,
        written_at = CASE WHEN send_at = next_try_at THEN created_at ELSE written_at END
    WHERE id = :message_id
"""

_NEW_ATTEMPT = """
    INSERT INTO attempts (id, message_id, number, outcome, started_at, call_before, rule_packs)
    VALUES (
        :attempt_id, :message_id, :number, 'open', now(), now() + :call_before,
        CAST(:rule_packs AS jsonb)
    )
"""

# One statement each: every round trip counts while the number's lock is held.
_FIRST_TRY_AT_STEP = (
    f"WITH message AS ({_NEW_STEP_MESSAGE}), enrollment AS ({START}) {_NEW_ATTEMPT}"
)
_NEXT_TRY_AT_STEP = f"WITH message AS ({_REUSE_MESSAGE}), enrollment AS ({START}) {_NEW_ATTEMPT}"
_TRY_AT_MESSAGE = f"WITH message AS ({_REUSE_MESSAGE}) {_NEW_ATTEMPT}"


async def open_attempt_at_step(
    tx: Transaction,
    row: StepRow,
    *,
    body: str,
    call_before: timedelta,
    rule_packs: Sequence[str] = (),
) -> UUID:
    """Write the message of a locked row's step and a new attempt at it; return the attempt's id.

    ``body`` is the text as the person will read it, ``call_before`` how long from now the call may
    still begin, by the database's clock. ``rule_packs`` are those that it goes under.
    """
    attempt = _new_attempt(row.message_id or uuid4(), row.last_attempt, call_before, rule_packs)
    text_values = {
        "phone": row.phone,
        "sender_id": row.sender_id,
        "body": body,
        "consent_id": row.consent_id,
        "enrollment_id": row.id,
    }
    if row.message_id is None:
        about = {
            "contact_id": row.contact_id,
            "step": row.position,
            "pass": row.pass_number,
            "media_urls": as_json(row.media_urls),
        }
        await tx.run(_FIRST_TRY_AT_STEP, **attempt, **text_values, **about)
    else:
        await tx.run(_NEXT_TRY_AT_STEP, **attempt, **text_values)
    return attempt["attempt_id"]


async def open_attempt_at_message(
    tx: Transaction, row: MessageRow, *, call_before: timedelta
) -> UUID:
    """Write a new attempt at a one-off text; return the attempt's id."""
    attempt = _new_attempt(row.id, row.last_attempt, call_before)
    text_values = {
        "phone": row.phone,
        "sender_id": row.sender_id,
        "body": row.body,
        "consent_id": row.consent_id,
    }
    await tx.run(_TRY_AT_MESSAGE, **attempt, **text_values)
    return attempt["attempt_id"]


class _NewAttempt(TypedDict):
    attempt_id: UUID
    message_id: UUID
    number: int
    call_before: timedelta
    rule_packs: object


def _new_attempt(
    message_id: UUID,
    last: LastAttempt | None,
    call_before: timedelta,
    rule_packs: Sequence[str] = (),
) -> _NewAttempt:
    return {
        "attempt_id": uuid4(),
        "message_id": message_id,
        "number": last.number + 1 if last else 1,
        "call_before": call_before,
        "rule_packs": as_json(rule_packs),
    }


async def set_line_type(tx: Transaction, contact_id: UUID, line_type: LineType) -> None:
    """Note what kind of line a contact's number is, unless that is known."""
    sql = """
        UPDATE contacts SET line_type = :line_type, updated_at = clock_timestamp()
        WHERE id = :id AND (line_type IS NULL OR line_type = 'unknown')
    """
    if await tx.count(sql, id=contact_id, line_type=line_type):
        await events.contacts_changed(tx, {contact_id: ["line_type"]}, ContactChange.UPDATED)


async def refuse_message(tx: Transaction, message_id: UUID, error_code: int) -> None:
    """Give a one-off text that may not go its last status, with the provider's code for it."""
    sql = """
        UPDATE messages SET status = 'refused', error_code = :code, next_try_at = NULL
        WHERE id = :id
    """
    await tx.run(sql, id=message_id, code=error_code)
