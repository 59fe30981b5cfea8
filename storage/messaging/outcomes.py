"""The statements that write down what became of an attempt, under its number's lock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from domain.messaging.absence import LIST_SKEW
from domain.messaging.ports import Canary
from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, MessageStatus
from storage.enrollments import next_step
from storage.messaging.sending import lock_attempt
from storage.platform.database import Transaction
from storage.tables.sent import LAST_SENT_AT

_SEEN_ANEW = timedelta(days=1)
"""How often it is noted that the provider still shows a sender's texts as it did."""


@dataclass(frozen=True)
class AttemptRow:
    """An attempt with its message, enrollment and sender.

    ``read_at`` is now, by the clock that dates attempts and texts: a worker's own may be wrong.
    ``latest`` tells whether no newer attempt at the message exists; ``contradicted`` whether
    another one that was declared absent turned out to be at the provider; ``step`` is None for a
    one-off text; ``sender_phone`` is the number it went out from, as far as known; ``position``,
    ``status`` and the like are the enrollment's.
    """

    attempt_id: UUID
    read_at: datetime
    outcome: AttemptOutcome
    latest: bool
    contradicted: bool
    started_at: datetime
    call_before: datetime
    absent_once_at: datetime | None
    provider_sid: str | None
    provider_status: MessageStatus | None
    reported_failed: bool
    message_id: UUID
    message_status: MessageStatus
    step: int | None
    pass_number: int | None
    phone: str
    contact_id: UUID | None
    body: str
    failed_tries: int
    enrollment_id: UUID | None
    status: EnrollmentStatus | None
    activity: EnrollmentPhase | None
    held_reason: HeldReason | None
    position: int
    enrollment_pass: int
    steps_sent: int
    step_count: int
    replied_at: datetime | None
    next_event_at: datetime | None
    sender_id: UUID
    sender_phone: str | None
    sender_held_at: datetime | None
    sender_shows_texts: bool | None
    sender_shows_texts_at: datetime | None
    hold_from_report: bool


_LOAD = text(
    """
    SELECT a.id AS attempt_id, clock_timestamp() AS read_at,
        a.outcome, a.started_at, a.call_before, a.absent_once_at,
        a.provider_sid, a.provider_status, a.reported_failed,
        NOT EXISTS (
            SELECT 1 FROM attempts b WHERE b.message_id = a.message_id AND b.number > a.number
        ) AS latest,
        EXISTS (
            SELECT 1 FROM attempts b WHERE b.message_id = a.message_id AND b.id <> a.id
            AND b.outcome = 'absent' AND b.provider_sid IS NOT NULL
        ) AS contradicted,
        m.id AS message_id, m.status AS message_status, m.step, m.pass, m.phone, m.contact_id,
        m.body, m.failed_tries, m.enrollment_id,
        e.status, e.position, e.pass AS enrollment_pass, e.step AS steps_sent, e.step_count,
        e.replied_at, e.activity, e.held_reason,
        coalesce(e.next_send_at, e.reply_until) AS next_event_at,
        n.id AS sender_id, coalesce(a.from_phone, n.phone) AS sender_phone,
        n.held_at, n.hold_from_report, n.shows_texts, n.shows_texts_at
    FROM attempts a
    JOIN messages m ON m.id = a.message_id
    JOIN senders n ON n.id = m.sender_id
    LEFT JOIN enrollments e ON e.id = m.enrollment_id
    WHERE a.id = :id
    """
)


async def load(tx: Transaction, attempt_id: UUID) -> AttemptRow | None:
    """Lock the attempt's number, then read the attempt; None if there is no such attempt."""
    if not await lock_attempt(tx, attempt_id):
        return None
    row = (await tx.execute(_LOAD, {"id": attempt_id})).one_or_none()
    if row is None:  # erased while its number was waited for
        return None
    return AttemptRow(
        attempt_id=row.attempt_id,
        read_at=row.read_at,
        outcome=AttemptOutcome(row.outcome),
        latest=row.latest,
        contradicted=row.contradicted,
        started_at=row.started_at,
        call_before=row.call_before,
        absent_once_at=row.absent_once_at,
        provider_sid=row.provider_sid,
        provider_status=MessageStatus(row.provider_status) if row.provider_status else None,
        reported_failed=row.reported_failed,
        message_id=row.message_id,
        message_status=MessageStatus(row.message_status),
        step=row.step,
        pass_number=getattr(row, "pass"),
        phone=row.phone,
        contact_id=row.contact_id,
        body=row.body,
        failed_tries=row.failed_tries,
        enrollment_id=row.enrollment_id,
        status=EnrollmentStatus(row.status) if row.status else None,
        position=row.position or 0,
        enrollment_pass=row.enrollment_pass or 0,
        steps_sent=row.steps_sent or 0,
        step_count=row.step_count or 0,
        replied_at=row.replied_at,
        activity=EnrollmentPhase(row.activity) if row.activity else None,
        held_reason=HeldReason(row.held_reason) if row.held_reason else None,
        next_event_at=row.next_event_at,
        sender_id=row.sender_id,
        sender_phone=row.sender_phone,
        sender_held_at=row.held_at,
        sender_shows_texts=row.shows_texts,
        sender_shows_texts_at=row.shows_texts_at,
        hold_from_report=row.hold_from_report,
    )


async def lock_contact(tx: Transaction, contact_id: UUID) -> None:
    """Keep a contact's line type as it is; before anything below it is locked."""
    await tx.execute(
        text("SELECT FROM contacts WHERE id = :id FOR NO KEY UPDATE"), {"id": contact_id}
    )


async def attempt_with_sid(tx: Transaction, sid: str) -> UUID | None:
    """Which attempt the provider gave this id to."""
    row = (
        await tx.execute(text("SELECT id FROM attempts WHERE provider_sid = :sid"), {"sid": sid})
    ).one_or_none()
    return row.id if row else None


async def stands_anew(tx: Transaction, row: AttemptRow) -> bool:
    """Whether another attempt at the same text is under way or was accepted and did not fail."""
    found = await tx.execute(
        text(
            """
            SELECT EXISTS (
                SELECT 1 FROM attempts
                WHERE message_id = :message_id AND id <> :attempt_id AND NOT reported_failed
                AND outcome IN ('open', 'unknown', 'accepted', 'assumed_sent')
            )
            """
        ),
        {"message_id": row.message_id, "attempt_id": row.attempt_id},
    )
    return bool(found.scalar_one())


async def times_throttled(tx: Transaction, message_id: UUID) -> int:
    """How many attempts at a text the provider did not look at, for it was asked too much."""
    found = await tx.execute(
        text("SELECT count(*) FROM attempts WHERE message_id = :id AND http_status = 429"),
        {"id": message_id},
    )
    return int(found.scalar_one())


async def sids_taken(tx: Transaction, sids: Sequence[str], besides: UUID) -> set[str]:
    """Which provider ids belong to other attempts."""
    rows = await tx.execute(
        text(
            "SELECT provider_sid FROM attempts WHERE provider_sid = ANY(:sids) AND id <> :besides"
        ).bindparams(bindparam("sids", type_=ARRAY(Text()))),
        {"sids": list(sids), "besides": besides},
    )
    return {row.provider_sid for row in rows}


async def rivals(tx: Transaction, row: AttemptRow) -> list[str]:
    """The texts of other unsettled attempts to the same number."""
    found = await tx.execute(
        text(
            """
            SELECT m.body FROM attempts a JOIN messages m ON m.id = a.message_id
            WHERE m.phone = :phone AND a.outcome IN ('open', 'unknown') AND a.id <> :id
            """
        ),
        {"phone": row.phone, "id": row.attempt_id},
    )
    return list(found.scalars())


_CANARY = text(
    """
    SELECT a.provider_sid, m.phone, m.body, m.sender_id, a.started_at
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
)


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
    row = (
        await tx.execute(
            _CANARY,
            {
                "phone": phone,
                "sender_id": sender_id,
                "from_moment": since,
                "fresh_from": fresh_from,
                "to_moment": until,
            },
        )
    ).one_or_none()
    if row is None:
        return None
    return Canary(
        sid=row.provider_sid,
        to=row.phone,
        body=row.body,
        sender_id=row.sender_id,
        list_from=row.started_at - LIST_SKEW,
    )


async def note_sender(tx: Transaction, row: AttemptRow, *, shows_texts: bool) -> None:
    """Note on an attempt's sender whether the provider shows texts as they were handed over.

    The last one counts: an account that hides numbers alters every text. The same again is
    written once a day, for what was seen long ago is not known any more.
    """
    seen_at = row.sender_shows_texts_at
    is_old = seen_at is None or row.read_at - seen_at > _SEEN_ANEW
    if row.sender_shows_texts is not shows_texts or is_old:
        if row.enrollment_id is not None:
            await next_step.hold(tx, row.enrollment_id)  # comes before the sender's row
        await tx.execute(
            text(
                """
                UPDATE senders SET shows_texts = :shows_texts, shows_texts_at = clock_timestamp()
                WHERE id = :id AND (
                    shows_texts IS DISTINCT FROM :shows_texts OR shows_texts_at IS NULL
                    OR shows_texts_at < clock_timestamp() - :seen_anew
                )
                """
            ),
            {"id": row.sender_id, "shows_texts": shows_texts, "seen_anew": _SEEN_ANEW},
        )


async def note_doubled(tx: Transaction, message_id: UUID) -> bool:
    """Note that a text went out twice: an attempt declared absent is there beside an accepted one.

    Returns:
        Whether that is so and was not noted before.
    """
    found = await tx.execute(
        text(
            """
            UPDATE attempts a SET doubled_at = clock_timestamp()
            WHERE a.message_id = :id AND a.outcome = 'absent' AND a.provider_sid IS NOT NULL
            AND NOT a.reported_failed AND a.doubled_at IS NULL AND EXISTS (
                SELECT 1 FROM attempts b WHERE b.message_id = a.message_id
                AND b.outcome = 'accepted' AND NOT b.reported_failed
            )
            RETURNING a.id
            """
        ),
        {"id": message_id},
    )
    return bool(found.all())


_ACCEPT = text(
    """
    WITH accepted AS (
        UPDATE attempts SET outcome = 'accepted', provider_sid = coalesce(provider_sid, :sid),
            provider_status = :provider_status, answered_at = coalesce(answered_at, now()),
            from_phone = coalesce(:from_phone, from_phone)
        WHERE id = :attempt_id
    )
    UPDATE messages SET status = :provider_status, error_code = NULL, next_try_at = NULL,
        occurred_at = :at
    WHERE id = :message_id
    """
)


async def accept(
    tx: Transaction,
    row: AttemptRow,
    *,
    sid: str | None,
    provider_status: MessageStatus,
    from_phone: str | None,
    at: datetime,
) -> None:
    """Note that the provider has the message."""
    await tx.execute(
        _ACCEPT,
        {
            "attempt_id": row.attempt_id,
            "message_id": row.message_id,
            "sid": sid,
            "provider_status": provider_status.value,
            "from_phone": from_phone,
            "at": at,
        },
    )


async def set_attempt(tx: Transaction, attempt_id: UUID, **values: Any) -> None:  # noqa: ANN401
    """Set columns of an attempt."""
    await _set(tx, "attempts", attempt_id, values)


async def set_message(tx: Transaction, message_id: UUID, **values: Any) -> None:  # noqa: ANN401
    """Set columns of a message."""
    await _set(tx, "messages", message_id, values)


async def _set(tx: Transaction, table: str, row_id: UUID, values: dict[str, Any]) -> None:
    columns = ", ".join(f"{name} = :{name}" for name in values)
    await tx.execute(
        text(f"UPDATE {table} SET {columns} WHERE id = :row_id"),  # noqa: S608 - our own names
        {**values, "row_id": row_id},
    )


async def last_sent_at(tx: Transaction, enrollment_id: UUID | None) -> datetime | None:
    """When the latest step of an enrollment that did not fail was accepted."""
    query = text(f"SELECT {LAST_SENT_AT} FROM enrollments e WHERE e.id = :id")  # noqa: S608
    last: datetime | None = (await tx.execute(query, {"id": enrollment_id})).scalar_one_or_none()
    return last
