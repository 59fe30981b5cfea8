"""Reading attempts and writing what becomes of them, under their number's lock."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal
from uuid import UUID

from domain.messaging.absence import LIST_SKEW, Rival
from domain.messaging.attempts import Attempt, OneOffAttempt, StepAttempt
from domain.messaging.effects import Effects
from domain.messaging.inbound import StatusReport
from domain.messaging.ports import Canary
from storage.platform.database import Transaction, as_json
from storage.platform.locks import LOCK_NUMBER, TRY_NUMBER, as_setting
from storage.platform.rows import made
from storage.tables.sent import LAST_SENT_AT

Loaded = tuple[Attempt, datetime]
"""An attempt, and now by the clock that dates attempts and texts: a worker's may be wrong."""

# A contact who was given another number since is changed under that number's lock.
_LOCK = f"""
    WITH locked AS MATERIALIZED (
        SELECT m.contact_id, {LOCK_NUMBER.format(phone="m.phone")}
        FROM attempts a JOIN messages m ON m.id = a.message_id
        WHERE a.id = :id
    )
    SELECT c.id FROM locked LEFT JOIN LATERAL (
        SELECT id FROM contacts WHERE id = locked.contact_id FOR KEY SHARE
    ) c ON true
"""  # noqa: S608 - built from constants

_READ = f"""
    SELECT a.id, a.outcome, a.started_at, a.call_before, a.answered_at, a.absent_once_at,
        a.provider_sid, a.provider_status, a.reported_failed,
        b.is_latest, b.is_replaced, b.is_contradicted, b.throttled,
        m.id AS message_id, m.status AS message_status, m.phone, m.contact_id, m.body,
        m.failed_tries, m.cancel_reason, m.enrollment_id, m.step, m.pass AS pass_number,
        n.id AS sender_id, coalesce(a.from_phone, n.phone) AS sender_phone,
        n.held_at AS sender_held_at, n.hold_from_report, n.shows_texts, n.shows_texts_at,
        e.status, e.activity AS phase, e.held_reason, e.position, e.pass AS enrollment_pass,
        e.step AS steps_sent, e.step_count, e.replied_at,
        coalesce(e.next_send_at, e.reply_until) AS next_event_at,
        CASE WHEN a.reported_failed THEN greatest(m.occurred_at, {LAST_SENT_AT}) END
            AS last_sent_at,
        clock_timestamp() AS read_at
    FROM attempts a
    JOIN messages m ON m.id = a.message_id
    JOIN senders n ON n.id = m.sender_id
    LEFT JOIN enrollments e ON e.id = m.enrollment_id
    CROSS JOIN LATERAL (
        SELECT NOT bool_or(b.number > a.number) AS is_latest,
            bool_or(b.id <> a.id AND NOT b.reported_failed AND b.outcome IN (
                'open', 'unknown', 'accepted', 'assumed_sent'
            )) AS is_replaced,
            bool_or(b.id <> a.id AND b.outcome = 'absent' AND b.provider_sid IS NOT NULL)
                AS is_contradicted,
            count(*) FILTER (WHERE b.http_status = 429) AS throttled
        FROM attempts b WHERE b.message_id = a.message_id
    ) b
    WHERE a.id = ANY(CAST(:ids AS uuid[]))
"""  # noqa: S608 - built from constants


async def load(tx: Transaction, attempt_id: UUID) -> Loaded | None:
    """Lock an attempt's number, then read the attempt; None if there is no such attempt."""
    if (await tx.run(_LOCK, id=attempt_id)).first() is None:
        return None
    # Not there any more: erased while its number was waited for.
    return (await _read(tx, [attempt_id])).get(attempt_id)


async def _read(tx: Transaction, attempt_ids: Collection[UUID]) -> dict[UUID, Loaded]:
    """Read attempts whose numbers are locked."""
    rows = (await tx.run(_READ, ids=attempt_ids)).mappings()
    return {row["id"]: (_attempt_of(row), row["read_at"]) for row in rows}


def _attempt_of(row: Mapping[Any, Any]) -> Attempt:
    is_step = row["step"] is not None and row["status"] is not None
    return made(StepAttempt, row) if is_step else made(OneOffAttempt, row)


# Nothing is read here but rows that never change, so the locks may be taken in the same statement.
_LOCK_FREE = f"""
    WITH found AS MATERIALIZED (
        SELECT asked.place, a.id, m.contact_id, {TRY_NUMBER.format(phone="m.phone")} AS is_free
        FROM jsonb_to_recordset(:reports) AS asked(place integer, sid text, attempt_id uuid)
        JOIN attempts a ON a.id = coalesce(
            (SELECT id FROM attempts WHERE id = asked.attempt_id),
            (SELECT id FROM attempts WHERE provider_sid = asked.sid)
        )
        JOIN messages m ON m.id = a.message_id
        CROSS JOIN set_config('lock_timeout', :patience, true)
    )
    SELECT found.place, found.id, found.is_free, c.id AS contact_id
    FROM found LEFT JOIN LATERAL (
        SELECT id FROM contacts WHERE id = found.contact_id AND found.is_free FOR KEY SHARE
    ) c ON true
"""  # noqa: S608 - built from constants


async def load_free(
    tx: Transaction, reports: Sequence[StatusReport], *, patience: timedelta
) -> list[Loaded | Literal["taken"] | None]:
    """Lock the numbers of reports' attempts, then read the attempts: of each report its own.

    An attempt is found by our id in its address, else by the provider's. ``taken`` is one whose
    number somebody else holds, None one that we do not know. From then on the transaction waits for
    no lock longer than ``patience``.
    """
    asked = [
        {"place": place, "sid": one.sid, "attempt_id": one.attempt_id}
        for place, one in enumerate(reports)
    ]
    given = {"reports": as_json(asked), "patience": as_setting(patience)}
    rows = (await tx.run(_LOCK_FREE, **given)).all()
    ids = {row.id for row in rows if row.is_free}
    read = await _read(tx, ids) if ids else {}
    found: list[Loaded | Literal["taken"] | None] = [None] * len(reports)
    for row in rows:
        found[row.place] = read.get(row.id) if row.is_free else "taken"
    return found


async def lock_contact(tx: Transaction, contact_id: UUID) -> None:
    """Lock a contact's line type, before anything below it is locked."""
    await tx.run("SELECT FROM contacts WHERE id = :id FOR NO KEY UPDATE", id=contact_id)


async def attempt_with_sid(tx: Transaction, sid: str) -> UUID | None:
    """Find the attempt that the provider gave this id to."""
    return await tx.value(UUID, "SELECT id FROM attempts WHERE provider_sid = :sid", sid=sid)


async def claimed(tx: Transaction, sids: Collection[str], besides: UUID) -> frozenset[str]:
    """Return which of the provider's ids belong to other attempts."""
    sql = "SELECT provider_sid FROM attempts WHERE provider_sid = ANY(:sids) AND id <> :besides"
    return frozenset(await tx.column(sql, sids=sids, besides=besides))


async def rivals(tx: Transaction, attempt: Attempt) -> tuple[Rival, ...]:
    """Return the other attempts to the number that a list may show under an id nobody knows.

    Those are of unknown outcome, or assumed sent if their call may have been made since.
    """
    sql = """
        SELECT m.body, a.started_at FROM attempts a JOIN messages m ON m.id = a.message_id
        WHERE m.phone = :phone AND a.id <> :id AND (
            a.outcome IN ('open', 'unknown') OR (
                a.outcome = 'assumed_sent' AND a.provider_sid IS NULL
                AND a.call_before >= :since
            )
        )
    """
    # A list goes back by one LIST_SKEW; a call may last almost as long.
    since = attempt.started_at - 2 * LIST_SKEW
    return tuple(await tx.rows(Rival, sql, phone=attempt.phone, id=attempt.id, since=since))


_CANARY = """
    SELECT a.provider_sid AS sid, m.phone AS "to", m.body, m.sender_id,
        a.started_at - :skew AS list_from
    FROM (
        (
            SELECT id, phone, body, sender_id FROM messages
            WHERE phone = :phone AND direction = 'outbound'
            AND created_at BETWEEN :from_moment AND :to_moment
            ORDER BY created_at DESC LIMIT 20
        )
        UNION
        (
            SELECT id, phone, body, sender_id FROM messages
            WHERE direction = 'outbound' AND created_at BETWEEN :from_moment AND :to_moment
            ORDER BY created_at DESC, id DESC LIMIT 200
        )
    ) m
    JOIN LATERAL (
        SELECT outcome, provider_sid, started_at, answered_at FROM attempts
        WHERE message_id = m.id ORDER BY number DESC LIMIT 1
    ) a ON a.outcome = 'accepted' AND a.provider_sid IS NOT NULL AND a.answered_at <= :to_moment
    WHERE m.body <> ''
    ORDER BY a.started_at >= :fresh_from DESC,
        a.started_at >= :fresh_from AND m.phone = :phone DESC,
        a.started_at >= :fresh_from AND m.sender_id = :sender_id DESC,
        a.started_at DESC
    LIMIT 1
"""


async def canary(
    tx: Transaction,
    phone: str,
    sender_id: UUID,
    *,
    since: datetime,
    fresh_from: datetime,
    until: datetime,
) -> Canary | None:
    """Find the latest text that the provider accepted; of fresh ones, one to this number if any.

    One from before the account's habits changed says nothing of texts by now, so the latest of
    another number and sender comes before an older one of theirs.

    Args:
        tx: A transaction.
        phone: The number that the provider's list is asked for.
        sender_id: The sender of the text that is looked for there.
        since: How old it may be.
        fresh_from: From when on one to this number, else from this sender, comes first.
        until: How young: the list may lag.
    """
    return await tx.one(
        Canary,
        _CANARY,
        phone=phone,
        sender_id=sender_id,
        from_moment=since,
        fresh_from=fresh_from,
        to_moment=until,
        skew=LIST_SKEW,
    )


async def note_doubled(tx: Transaction, message_id: UUID) -> bool:
    """Note that a text went out twice: an attempt declared absent is there beside an accepted one.

    Returns:
        Whether that is so and was not noted before.
    """
    sql = """
        UPDATE attempts a SET doubled_at = clock_timestamp()
        WHERE a.message_id = :id AND a.outcome = 'absent' AND a.provider_sid IS NOT NULL
        AND NOT a.reported_failed AND a.doubled_at IS NULL AND EXISTS (
            SELECT 1 FROM attempts b WHERE b.message_id = a.message_id
            AND b.outcome = 'accepted' AND NOT b.reported_failed
        )
    """
    return await tx.count(sql, id=message_id) > 0


@cache
def _update(attempt: tuple[str, ...], message: tuple[str, ...]) -> str:
    """Build the one statement that sets these columns of attempts and of their messages."""
    updates = [
        f"UPDATE {table} SET {', '.join(f'{one} = news.{one}' for one in columns)}"  # noqa: S608
        f" FROM jsonb_populate_recordset(CAST(NULL AS {table}), :{table}) news"
        f" WHERE {table}.id = news.id"
        for table, columns in (("attempts", attempt), ("messages", message))
        if columns
    ]
    *first, last = updates
    return f"WITH first AS ({first[0]}) {last}" if first else last


async def write(tx: Transaction, news: Sequence[tuple[Attempt, Effects]]) -> None:
    """Write what becomes of attempts at different texts, and of the texts.

    One statement for all whose columns are the same.
    """
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[tuple[Attempt, Effects]]] = {}
    for attempt, effects in news:
        columns = tuple(effects.attempt), tuple(effects.message)
        if any(columns):
            alike.setdefault(columns, []).append((attempt, effects))
    for columns, some in alike.items():
        rows: dict[str, list[dict[str, object]]] = {
            "attempts": [{"id": one.id, **effects.attempt} for one, effects in some],
            "messages": [{"id": one.message_id, **effects.message} for one, effects in some],
        }
        changed = [table for table, named in zip(rows, columns, strict=True) if named]
        await tx.run(_update(*columns), **{table: as_json(rows[table]) for table in changed})
