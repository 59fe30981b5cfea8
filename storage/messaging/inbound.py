"""What the provider told us: events kept first, then their effects."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.messaging.inbound import InboundText, StatusReport
from domain.statuses.enrollments import EnrollmentStatus
from domain.statuses.messaging import TextKind
from domain.statuses.sequences import CountsAsReply, ReplyPolicy
from domain.statuses.suppression import TextMeaning
from storage.enrollments.replies import RECORD_INBOUND
from storage.platform.database import Transaction, as_json
from storage.platform.locks import MAY_REPLY_LATE, TRY_NUMBER, as_setting
from storage.tables.sent import SENT

_LOOKED_THROUGH = 200
"""So many texts to a number are compared with what a reaction quotes, the latest ones."""

_CAME = """jsonb_to_recordset(:texts) AS came(
    sid text, phone text, payload jsonb, occurred_at timestamptz
)"""

# An update that changes nothing locks what was kept before and returns it as it is by now.
_KEEP = """
    INSERT INTO inbound_events (provider_sid, phone, payload, occurred_at)
    SELECT sid, phone, payload, coalesce(occurred_at, clock_timestamp())
    FROM {came} ORDER BY sid
    ON CONFLICT (provider_sid) DO UPDATE SET provider_sid = excluded.provider_sid
    RETURNING provider_sid AS sid, occurred_at, applied_at IS NOT NULL AS is_applied
"""

_KEEP_ALL = _KEEP.format(came=_CAME)

# Nothing is read here but rows that are locked, so the locks may be taken in the same statement.
_KEEP_FREE = f"""
    WITH numbers AS MATERIALIZED (
        SELECT came.*, {TRY_NUMBER.format(phone="came.phone")} AS is_free
        FROM {_CAME}, set_config('lock_timeout', :patience, true)
    )
    {_KEEP.format(came="numbers WHERE is_free")}
"""  # noqa: S608 - built from constants


@dataclass(frozen=True)
class KeptText:
    """The event of an inbound text.

    Attributes:
        sid: The provider's id of the text.
        occurred_at: When it came.
        is_applied: Whether its effects are in already.
    """

    sid: str
    occurred_at: datetime
    is_applied: bool


async def keep_texts(
    tx: Transaction, texts: Sequence[InboundText], *, patience: timedelta | None = None
) -> list[KeptText]:
    """Keep inbound texts' events and lock them.

    Args:
        tx: Holds the locks of their numbers; with ``patience`` it takes them here.
        texts: Different ones.
        patience: Leave out the texts whose number somebody else holds. From then on the
            transaction waits for no lock longer than this.
    """
    came = as_json(
        [
            {
                "sid": one.sid,
                "phone": one.phone,
                "payload": _event_payload(one),
                "occurred_at": one.occurred_at,
            }
            for one in texts
        ]
    )
    if patience is None:
        return await tx.rows(KeptText, _KEEP_ALL, texts=came)
    return await tx.rows(KeptText, _KEEP_FREE, texts=came, patience=as_setting(patience))


def _event_payload(inbound: InboundText) -> dict[str, object]:
    return {
        "to": inbound.to,
        "messaging_service_sid": inbound.messaging_service_sid,
        "body": inbound.body,
        "media_urls": inbound.media_urls,
        "opt_out_type": inbound.opt_out_type,
        "payload": inbound.payload,
        "fetched": inbound.fetched,
    }


async def unapplied_texts(
    tx: Transaction, limit: int, after: InboundText | None = None
) -> list[InboundText]:
    """Read inbound texts whose effects are missing, oldest first; ``after`` one of them."""
    sql = """
        SELECT provider_sid, phone, payload, occurred_at FROM inbound_events
        WHERE applied_at IS NULL AND (
            CAST(:at AS timestamptz) IS NULL OR (occurred_at, provider_sid) > (:at, :sid)
        )
        ORDER BY occurred_at, provider_sid LIMIT :limit
    """
    rows = await tx.run(
        sql, limit=limit, at=after.occurred_at if after else None, sid=after.sid if after else None
    )
    return [
        InboundText(
            sid=row.provider_sid,
            phone=row.phone,
            to=row.payload["to"],
            messaging_service_sid=row.payload["messaging_service_sid"],
            body=row.payload["body"],
            media_urls=tuple(row.payload["media_urls"]),
            opt_out_type=row.payload["opt_out_type"],
            occurred_at=row.occurred_at,
            payload=row.payload["payload"],
            fetched=row.payload.get("fetched", False),
        )
        for row in rows
    ]


_LOCK_CONTACTS = """
    WITH found AS MATERIALIZED (
        SELECT came.sid, coalesce(
            (SELECT id FROM contacts c WHERE c.phone = came.phone),
            (SELECT contact_id FROM messages m WHERE m.phone = came.phone
                AND contact_id IS NOT NULL ORDER BY created_at DESC LIMIT 1)
        ) AS contact_id,
        (
            SELECT id FROM (
                SELECT id, 1 AS preference FROM senders WHERE messaging_service_sid = came.service
                UNION ALL
                SELECT id, 2 FROM senders WHERE phone = came.number
                UNION ALL
                (SELECT m.sender_id, CASE WHEN came.fetched THEN 1 ELSE 3 END
                FROM messages m JOIN attempts a ON a.message_id = m.id
                WHERE m.phone = came.phone AND a.from_phone = came.number
                ORDER BY a.started_at DESC LIMIT 1)
            ) known ORDER BY preference LIMIT 1
        ) AS sender_id,
        EXISTS (
            SELECT FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.phone = came.phone AND m.step IS NOT NULL
            AND a.reported_failed AND a.provider_status = 'undelivered'
        ) AS was_undelivered
        FROM jsonb_to_recordset(:texts) AS came(
            sid text, service text, number text, phone text, fetched boolean
        )
        ORDER BY contact_id
    )
    SELECT found.sid, c.id AS contact_id, found.sender_id, found.was_undelivered
    FROM found LEFT JOIN LATERAL (
        SELECT id FROM contacts WHERE id = found.contact_id FOR KEY SHARE
    ) c ON true
"""


@dataclass(frozen=True)
class Parties:
    """Between whom an inbound text is.

    Attributes:
        contact_id: Who has its number, else who was texted there last, if anyone.
        sender_id: The service it names, else its number, else who texted last. A service that is
            no sender of ours is one that only the provider knows the number to be in. A Messaging
            Service's own numbers are known only from the texts that went out from them. Where the
            provider's list names no service there may be one all the same: whoever texted last
            from the number is asked before whose number it is.
        was_undelivered: Whether a step's text to its number was reported ``undelivered``.
    """

    contact_id: UUID | None
    sender_id: UUID | None
    was_undelivered: bool


async def lock_contacts_of(tx: Transaction, texts: Sequence[InboundText]) -> dict[str, Parties]:
    """Lock the contacts whom texts belong to, and read between whom they are, by the text's id.

    Call it before any enrollment is locked. The numbers' locks are not enough: a contact who has
    another number by now is changed under that number's lock.
    """
    asked = [
        {
            "sid": one.sid,
            "service": one.messaging_service_sid,
            "number": one.to,
            "phone": one.phone,
            "fetched": one.fetched and one.messaging_service_sid is None,
        }
        for one in texts
    ]
    rows = await tx.run(_LOCK_CONTACTS, texts=as_json(asked))
    return {row.sid: Parties(row.contact_id, row.sender_id, row.was_undelivered) for row in rows}


@dataclass(frozen=True)
class ReceivedText:
    """An inbound text as it goes into its conversation.

    Attributes:
        id: Of the message.
        text: What came.
        at: When.
        contact_id: Whose it is, if we know them.
        sender_id: Which sender it came to, if we know it.
        meaning: What it asks for, if anything.
        kind: What it is.
        about_id: The text of ours that a reaction is about.
        is_reply: Whether it answers our texts; False of a reaction or an automatic answer until a
            sequence has counted it as a reply (``mark_replies``).
    """

    id: UUID
    text: InboundText
    at: datetime
    contact_id: UUID | None
    sender_id: UUID | None
    meaning: TextMeaning | None
    kind: TextKind
    about_id: UUID | None
    is_reply: bool


_STORE = f"""
    WITH applied AS (
        UPDATE inbound_events SET applied_at = now() WHERE provider_sid = ANY(:sids)
    ), stored AS (
        INSERT INTO messages (id, direction, contact_id, phone, sender_id, body, media_urls, status,
            keyword, kind, about_id, is_reply, provider_sid, occurred_at, created_at)
        SELECT id, 'inbound', contact_id, phone, sender_id, body, media_urls, 'received', keyword,
            kind, about_id, is_reply, sid, occurred_at, clock_timestamp()
        FROM jsonb_to_recordset(:texts) AS came(
            id uuid, contact_id uuid, phone text, sender_id uuid, body text, media_urls jsonb,
            keyword text, kind text, about_id uuid, is_reply boolean, sid text,
            occurred_at timestamptz
        )
    )
    {RECORD_INBOUND}
"""  # noqa: S608 - built from constants


async def store_texts(tx: Transaction, received: Sequence[ReceivedText]) -> None:
    """Put kept texts of different numbers into their conversations; their effects are in then.

    Their places there are of this moment, after the locks: what was said meanwhile comes before.
    """
    came = [
        {
            "id": one.id,
            "contact_id": one.contact_id,
            "phone": one.text.phone,
            "sender_id": one.sender_id,
            "body": one.text.body,
            "media_urls": one.text.media_urls,
            "keyword": one.meaning,
            "kind": one.kind,
            "about_id": one.about_id,
            "is_reply": one.is_reply,
            "sid": one.text.sid,
            "occurred_at": one.at,
        }
        for one in received
    ]
    await tx.run(
        _STORE,
        texts=as_json(came),
        sids=[one.text.sid for one in received],
        phones=[one.text.phone for one in received],
        moments=[one.at for one in received],
    )


async def mark_replies(tx: Transaction, message_ids: Sequence[UUID]) -> None:
    """Note that texts were counted as replies."""
    if message_ids:
        await tx.run("UPDATE messages SET is_reply = true WHERE id = ANY(:ids)", ids=message_ids)


@dataclass(frozen=True)
class SentText:
    """A text of ours that a reaction may be about."""

    id: UUID
    body: str
    has_media: bool


_SENT_BEFORE = f"""
    SELECT came.sid, m.id, m.body, m.media_urls <> '[]' AS has_media
    FROM jsonb_to_recordset(:texts) AS came(sid text, phone text, at timestamptz)
    CROSS JOIN LATERAL (
        SELECT m.id, m.body, m.media_urls FROM messages m
        WHERE m.phone = came.phone AND m.direction = 'outbound' AND EXISTS (
            SELECT FROM attempts a WHERE a.message_id = m.id AND {SENT} AND a.started_at <= came.at
        )
        ORDER BY m.created_at DESC LIMIT {_LOOKED_THROUGH}
    ) m
"""  # noqa: S608 - built from constants


async def sent_before(
    tx: Transaction, texts: Sequence[InboundText], moments: Mapping[str, datetime]
) -> dict[str, list[SentText]]:
    """Read the latest texts that were *sent* to the numbers of texts before these, the last first.

    By the provider's ids of the texts that came in; ``moments`` says when they did.
    """
    asked = [{"sid": one.sid, "phone": one.phone, "at": moments[one.sid]} for one in texts]
    found: dict[str, list[SentText]] = {one.sid: [] for one in texts}
    for row in await tx.run(_SENT_BEFORE, texts=as_json(asked)) if asked else ():
        found[row.sid].append(SentText(row.id, row.body, row.has_media))
    return found


@dataclass(frozen=True)
class PossibleReply:
    """A stored text that may be a reply; fields as of ``ReceivedText``, ``phone`` whose it is."""

    id: UUID
    phone: str
    sender_id: UUID
    at: datetime
    kind: TextKind


@dataclass(frozen=True)
class Repliable:
    """An enrollment that inbound texts are replies to: active, or ended without a response.

    Attributes:
        id: Which.
        status: Active, or ``finished_no_response``: then the first reply comes late.
        on_reply: What a reply does to it while it is active.
        all_sent: Whether all its steps went out.
        replied_at: When the first of the texts came.
        first_replied_at: When the first reply came that has counted already; None for none.
        counts_as_reply: Which texts count for its sequence.
        message_ids: The texts.
    """

    id: UUID
    status: EnrollmentStatus
    on_reply: ReplyPolicy
    all_sent: bool
    replied_at: datetime
    first_replied_at: datetime | None
    counts_as_reply: CountsAsReply
    message_ids: Sequence[UUID]


_REPLIABLE = f"""
    SELECT e.id, e.status, q.on_reply, e.position > e.step_count AS all_sent,
        min(reply.at) AS replied_at, e.replied_at AS first_replied_at, q.counts_as_reply,
        array_agg(DISTINCT reply.id) AS message_ids
    FROM jsonb_to_recordset(:replies) AS reply(
        id uuid, phone text, sender_id uuid, at timestamptz, kind text
    )
    JOIN messages m ON m.phone = reply.phone AND m.sender_id = reply.sender_id
        AND m.direction = 'outbound'
    JOIN attempts a ON a.message_id = m.id AND {SENT} AND a.started_at <= reply.at
    JOIN enrollments e ON e.id = m.enrollment_id AND (
        e.status = 'active' OR {MAY_REPLY_LATE.format(at="reply.at")}
    )
    JOIN sequences q ON q.id = e.sequence_id AND (
        reply.kind = 'human' OR (q.counts_as_reply = 'any' AND e.status = 'active')
    )
    GROUP BY e.id, q.id
    HAVING e.status = 'active' OR min(reply.at) <= max(a.started_at) + interval '30 days'
    ORDER BY e.id
"""  # noqa: S608 - built from constants


async def repliable(tx: Transaction, texts: Sequence[PossibleReply]) -> list[Repliable]:
    """Find enrollments that *sent* texts to numbers from senders before these texts came.

    Of a reaction or an automatic answer only active ones of sequences that count any text, of a
    person's also those that ended without a response and whose last text is not 30 days old.

    The transaction holds the locks of the numbers' enrollments.
    """
    return await tx.rows(Repliable, _REPLIABLE, replies=as_json([asdict(one) for one in texts]))


async def suppressed_by_text(
    tx: Transaction, senders: Mapping[str, UUID | None]
) -> Collection[str]:
    """Return the numbers that something suppresses for these senders which a text can lift."""
    if not senders:
        return ()
    sql = """
        SELECT came.phone
        FROM unnest(CAST(:phones AS text[]), CAST(:sender_ids AS uuid[])) AS came(phone, sender_id)
        WHERE EXISTS (
            SELECT FROM suppressions s WHERE s.phone = came.phone AND s.lifted_at IS NULL
            AND s.source <> 'by_hand' AND (s.sender_id IS NULL OR s.sender_id = came.sender_id)
        )
    """
    return await tx.column(sql, phones=list(senders), sender_ids=list(senders.values()))


@dataclass(frozen=True)
class KeptReport:
    """A stored status report."""

    id: int
    report: StatusReport


async def keep_report(tx: Transaction, report: StatusReport) -> int | None:
    """Store a status report once; None if it was applied before."""
    sql = """
        INSERT INTO status_events (provider_sid, status, error_code, attempt_id, payload)
        VALUES (:sid, :status, :code, :attempt_id, :payload)
        ON CONFLICT (provider_sid, status, error_code) DO NOTHING
    """
    await tx.run(
        sql,
        sid=report.sid,
        status=report.status,
        code=report.error_code,
        attempt_id=report.attempt_id,
        payload=_report_payload(report),
    )
    sql = """
        SELECT id, applied_at FROM status_events
        WHERE provider_sid = :sid AND status = :status
        AND error_code IS NOT DISTINCT FROM CAST(:code AS integer)
    """
    row = (await tx.run(sql, sid=report.sid, status=report.status, code=report.error_code)).one()
    return row.id if row.applied_at is None else None


_KEEP_APPLIED = """
    INSERT INTO status_events (provider_sid, status, error_code, attempt_id, payload, applied_at)
    SELECT sid, status, error_code, attempt_id, payload, now()
    FROM jsonb_to_recordset(:reports) AS came(
        sid text, status text, error_code integer, attempt_id uuid, payload jsonb
    )
    ORDER BY sid, status, error_code
    ON CONFLICT (provider_sid, status, error_code) DO UPDATE
    SET applied_at = coalesce(status_events.applied_at, excluded.applied_at)
"""


async def keep_applied_reports(tx: Transaction, reports: Sequence[StatusReport]) -> None:
    """Store different status reports whose effects are in; one that is there is applied now."""
    came = [
        {
            "sid": one.sid,
            "status": one.status,
            "error_code": one.error_code,
            "attempt_id": one.attempt_id,
            "payload": _report_payload(one),
        }
        for one in reports
    ]
    if came:
        await tx.run(_KEEP_APPLIED, reports=as_json(came))


async def unapplied_reports(tx: Transaction, limit: int, after: int = 0) -> list[KeptReport]:
    """Read status reports whose effects are missing, oldest first; those ``after`` one's id."""
    sql = """
        SELECT id, provider_sid, status, error_code, attempt_id, payload FROM status_events
        WHERE applied_at IS NULL AND id > :after ORDER BY id LIMIT :limit
    """
    rows = await tx.run(sql, limit=limit, after=after)
    return [
        KeptReport(
            row.id,
            StatusReport(
                sid=row.provider_sid,
                status=row.status,
                error_code=row.error_code,
                attempt_id=row.attempt_id,
                from_phone=_from_phone(row.payload),
                payload=row.payload,
            ),
        )
        for row in rows
    ]


def _report_payload(report: StatusReport) -> dict[str, object]:
    return {"from_phone": report.from_phone, **report.payload}


def _from_phone(payload: Mapping[str, object]) -> str | None:
    value = payload.get("from_phone")
    return value if isinstance(value, str) else None


async def report_applied(tx: Transaction, report_id: int) -> None:
    """Note that a status report's effects are in."""
    await tx.run("UPDATE status_events SET applied_at = now() WHERE id = :id", id=report_id)
