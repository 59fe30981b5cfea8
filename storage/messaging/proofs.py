"""Queries of all that proves one text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus
from domain.statuses.suppression import OptOutSource
from storage.platform.database import Transaction
from storage.platform.workspace import ZONE_SQL


@dataclass(frozen=True)
class ProvenText:
    """A text with its sender, contact and enrollment, as far as they are there.

    Attributes:
        accepted_at: When the provider accepted it.
        time_zone: The contact's, if given; so are country, state and postal code.
    """

    id: UUID
    direction: Direction
    phone: str
    body: str
    media_urls: Sequence[str]
    status: MessageStatus
    error_code: int | None
    step: int | None
    created_at: datetime
    accepted_at: datetime | None
    send_at: datetime | None
    consent_id: UUID | None
    user_id: UUID | None
    user_name: str | None
    sender_id: UUID | None
    sender_name: str | None
    sender_phone: str | None
    messaging_service_sid: str | None
    contact_id: UUID | None
    external_id: str | None
    first_name: str | None
    last_name: str | None
    time_zone: str | None
    country: str | None
    state: str | None
    postal_code: str | None
    workspace_zone: str | None
    enrollment_id: UUID | None
    sequence_id: UUID | None
    sequence_name: str | None
    purpose: str | None
    version: int | None
    enrolled_at: datetime | None
    enrolled_by: UUID | None
    enrolled_by_name: str | None


_TEXT = f"""
    SELECT m.id, m.direction, m.phone, m.body, m.media_urls, m.status, m.error_code, m.step,
        m.created_at, m.occurred_at AS accepted_at, m.send_at, m.consent_id,
        m.user_id, u.name AS user_name,
        m.sender_id, n.name AS sender_name, n.phone AS sender_phone, n.messaging_service_sid,
        c.id AS contact_id, c.external_id, c.first_name, c.last_name, c.time_zone,
        c.country, c.state, c.postal_code, {ZONE_SQL} AS workspace_zone,
        e.id AS enrollment_id, q.id AS sequence_id, q.name AS sequence_name, q.purpose,
        v.number AS version, e.enrolled_at, e.enrolled_by, w.name AS enrolled_by_name
    FROM messages m
    LEFT JOIN users u ON u.id = m.user_id
    LEFT JOIN senders n ON n.id = m.sender_id
    LEFT JOIN contacts c ON c.id = m.contact_id
    LEFT JOIN enrollments e ON e.id = m.enrollment_id
    LEFT JOIN sequences q ON q.id = e.sequence_id
    LEFT JOIN sequence_versions v ON v.id = e.version_id
    LEFT JOIN users w ON w.id = e.enrolled_by
    WHERE m.id = :id
"""  # noqa: S608 - built from constants


async def text(tx: Transaction, message_id: UUID) -> ProvenText | None:
    """Read a text; None if there is none."""
    return await tx.one(ProvenText, _TEXT, id=message_id)


class ProvenAttempt(NamedTuple):
    """A call to the provider for a text.

    ``opted_out``: whether its number was, for this sender, when the attempt was opened;
    ``rule_packs``: the rules that it went under, each with its version.
    """

    id: UUID
    number: int
    started_at: datetime
    opted_out: bool
    rule_packs: tuple[str, ...]
    outcome: AttemptOutcome
    answered_at: datetime | None
    http_status: int | None
    error_code: int | None
    provider_sid: str | None
    provider_status: MessageStatus | None
    from_phone: str | None


async def attempts(tx: Transaction, message_id: UUID) -> list[ProvenAttempt]:
    """Read the attempts at a text, in their order."""
    sql = """
        SELECT a.id, a.number, a.started_at, EXISTS (
                SELECT FROM suppressions s
                WHERE s.phone = m.phone AND (s.sender_id IS NULL OR s.sender_id = m.sender_id)
                AND s.created_at <= a.started_at
                AND (s.lifted_at IS NULL OR s.lifted_at > a.started_at)
            ) AS opted_out,
            a.rule_packs, a.outcome, a.answered_at, a.http_status, a.error_code, a.provider_sid,
            a.provider_status, a.from_phone
        FROM attempts a JOIN messages m ON m.id = a.message_id
        WHERE a.message_id = :id ORDER BY a.number
    """
    return await tx.rows(ProvenAttempt, sql, id=message_id)


class ProvenReport(NamedTuple):
    """What the provider reported of a text afterwards."""

    provider_sid: str
    status: str
    error_code: int | None
    received_at: datetime


async def reports(tx: Transaction, message_id: UUID) -> list[ProvenReport]:
    """Read the reports of a text that are still kept, in the order in which they came."""
    sql = """
        SELECT s.provider_sid, s.status, s.error_code, s.received_at
        FROM status_events s JOIN attempts a ON a.provider_sid = s.provider_sid
        WHERE a.message_id = :id ORDER BY s.id
    """
    return await tx.rows(ProvenReport, sql, id=message_id)


class ProvenOptOut(NamedTuple):
    """An opt-out of the number that a text went to."""

    source: OptOutSource
    sender_id: UUID | None
    occurred_at: datetime
    recorded_at: datetime
    lifted_at: datetime | None


async def opt_outs(tx: Transaction, phone: str) -> list[ProvenOptOut]:
    """Read all opt-outs of a number, in their order."""
    sql = """
        SELECT source, sender_id, occurred_at, created_at AS recorded_at, lifted_at
        FROM suppressions WHERE phone = :phone ORDER BY occurred_at, id
    """
    return await tx.rows(ProvenOptOut, sql, phone=phone)
