"""What the provider told us: events kept first, then their effects."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from domain.messaging.inbound import InboundText, StatusReport
from domain.statuses.sequences import ReplyPolicy
from storage.enrollments import enrollments
from storage.platform.database import Transaction, as_json
from storage.tables.sent import SENT


async def keep_text(tx: Transaction, inbound: InboundText) -> datetime | None:
    """Keep an inbound text's event and lock it; return when it happened.

    None if its effects are applied already.
    """
    sql = """
        INSERT INTO inbound_events (provider_sid, phone, payload, occurred_at)
        VALUES (:sid, :phone, :payload,
            coalesce(CAST(:occurred_at AS timestamptz), clock_timestamp()))
        ON CONFLICT (provider_sid) DO NOTHING
    """
    await tx.run(
        sql,
        sid=inbound.sid,
        phone=inbound.phone,
        payload=_event_payload(inbound),
        occurred_at=inbound.occurred_at,
    )
    sql = "SELECT applied_at, occurred_at FROM inbound_events WHERE provider_sid = :sid FOR UPDATE"
    row = (await tx.run(sql, sid=inbound.sid)).one()
    moment: datetime = row.occurred_at
    return moment if row.applied_at is None else None


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


async def text_applied(tx: Transaction, sid: str) -> None:
    """Note that an inbound text's effects are in."""
    sql = "UPDATE inbound_events SET applied_at = now() WHERE provider_sid = :sid"
    await tx.run(sql, sid=sid)


async def sender_of_text(tx: Transaction, inbound: InboundText) -> UUID | None:
    """Find the sender a text came to: the service it names, else its number, else who texted last.

    A service that is no sender of ours is one that only the provider knows the number to be in. A
    Messaging Service's own numbers are known only from the texts that went out from them. Where the
    provider's list names no service there may be one all the same: whoever texted last from the
    number is asked before whose number it is.
    """
    sql = """
        SELECT id FROM (
            SELECT id, 1 AS preference FROM senders
            WHERE messaging_service_sid = :service
            UNION ALL
            SELECT id, 2 FROM senders WHERE phone = :to
            UNION ALL
            (SELECT m.sender_id, CASE WHEN :fetched THEN 1 ELSE 3 END
            FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.phone = :phone AND a.from_phone = :to
            ORDER BY a.started_at DESC LIMIT 1)
        ) found ORDER BY preference LIMIT 1
    """
    row = (
        await tx.run(
            sql,
            service=inbound.messaging_service_sid,
            to=inbound.to,
            phone=inbound.phone,
            fetched=inbound.fetched and inbound.messaging_service_sid is None,
        )
    ).one_or_none()
    return row.id if row else None


async def lock_contact_of(tx: Transaction, phone: str) -> UUID | None:
    """Lock the contact whom a number's texts belong to: who has it, else who was texted there last.

    Call it before any enrollment is locked. The number's lock is not enough: a contact who has
    another number by now is changed under that number's lock.
    """
    sql = """
        SELECT id FROM contacts WHERE id = coalesce(
            (SELECT id FROM contacts WHERE phone = :phone),
            (SELECT contact_id FROM messages WHERE phone = :phone
                AND contact_id IS NOT NULL ORDER BY created_at DESC LIMIT 1)
        )
        FOR KEY SHARE
    """
    return await tx.value(UUID, sql, phone=phone)


async def store_text(
    tx: Transaction,
    inbound: InboundText,
    *,
    at: datetime,
    contact_id: UUID | None,
    sender_id: UUID | None,
    keyword: str | None,
    is_reply: bool,
) -> UUID:
    """Put an inbound text into its conversation; return the message's id."""
    message_id = uuid4()
    sql = """
        INSERT INTO messages (id, direction, contact_id, phone, sender_id, body, media_urls,
            status, keyword, is_reply, provider_sid, occurred_at)
        VALUES (:id, 'inbound', :contact_id, :phone, :sender_id, :body,
            :media_urls, 'received', :keyword, :is_reply, :sid, :occurred_at)
    """
    await tx.run(
        sql,
        id=message_id,
        contact_id=contact_id,
        phone=inbound.phone,
        sender_id=sender_id,
        body=inbound.body,
        media_urls=as_json(inbound.media_urls),
        keyword=keyword,
        is_reply=is_reply,
        sid=inbound.sid,
        occurred_at=at,
    )
    await enrollments.record_inbound(tx, inbound.phone, at=at)
    return message_id


@dataclass(frozen=True)
class Repliable:
    """An active enrollment that an inbound text is a reply to."""

    id: UUID
    on_reply: ReplyPolicy
    all_sent: bool


async def repliable(
    tx: Transaction, phone: str, sender_id: UUID, occurred_at: datetime
) -> Sequence[Repliable]:
    """Lock active enrollments that *sent* a text to the number from the sender before a moment."""
    sql = f"""
        SELECT e.id, q.on_reply, e.position > e.step_count AS all_sent
        FROM enrollments e JOIN sequences q ON q.id = e.sequence_id
        WHERE e.status = 'active' AND e.id IN (
            SELECT m.enrollment_id FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.phone = :phone AND m.sender_id = :sender_id
            AND m.direction = 'outbound' AND {SENT} AND a.started_at <= :occurred_at
        )
        ORDER BY e.id FOR UPDATE OF e
    """  # noqa: S608 - built from constants
    return await tx.rows(Repliable, sql, phone=phone, sender_id=sender_id, occurred_at=occurred_at)


async def is_suppressed_by_text(tx: Transaction, phone: str, sender_id: UUID | None) -> bool:
    """Tell whether something that a text can lift suppresses the number for a sender now."""
    sql = """
        SELECT EXISTS (
            SELECT 1 FROM suppressions WHERE phone = :phone AND lifted_at IS NULL
            AND source <> 'by_hand'
            AND (sender_id IS NULL OR sender_id = :sender_id)
        )
    """
    return bool(await tx.value(bool, sql, phone=phone, sender_id=sender_id))


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
        payload={"from_phone": report.from_phone, **report.payload},
    )
    sql = """
        SELECT id, applied_at FROM status_events
        WHERE provider_sid = :sid AND status = :status
        AND error_code IS NOT DISTINCT FROM CAST(:code AS integer)
    """
    row = (await tx.run(sql, sid=report.sid, status=report.status, code=report.error_code)).one()
    return row.id if row.applied_at is None else None


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


def _from_phone(payload: Mapping[str, object]) -> str | None:
    value = payload.get("from_phone")
    return value if isinstance(value, str) else None


async def report_applied(tx: Transaction, report_id: int) -> None:
    """Note that a status report's effects are in."""
    await tx.run("UPDATE status_events SET applied_at = now() WHERE id = :id", id=report_id)
