"""The queries behind one enrollment's page: its facts and everything that happened to it."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.statuses.enrollments import EnrollmentPhase, EnrollmentStatus, HeldReason
from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus
from domain.statuses.sequences import SequenceKind, SequenceState
from storage.enrollments.step_outcomes import failing_code
from storage.platform.database import Transaction
from storage.sequences.sequences import WINDOW_JSON
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment, EnrollmentEvent
from storage.tables.messaging import Attempt, Message, Sender, StatusEvent
from storage.tables.sequences import Sequence, SequenceVersion

_AFTERWARDS = timedelta(seconds=5)
"""The text that ended an enrollment is stored at about the time it ended, and belongs to it."""


@dataclass(frozen=True)
class EnrollmentFacts:
    """An enrollment's row, and what is needed of its sequence, sender, contact and users.

    ``failing_code``: see ``storage.enrollments.step_outcomes.failing_code``.
    """

    id: UUID
    sequence_id: UUID
    sequence_name: str
    sequence_state: SequenceState
    kind: SequenceKind
    send_window: WINDOW_JSON | None
    sender_id: UUID
    sender_name: str
    sender_held_at: datetime | None
    sender_hold_code: int | None
    version_id: UUID
    version: int
    contact_id: UUID
    first_name: str
    last_name: str
    phone: str
    time_zone: str | None
    status: EnrollmentStatus
    activity: EnrollmentPhase | None
    held_reason: HeldReason | None
    held_code: int | None
    error_code: int | None
    position: int
    step: int
    step_count: int
    pass_number: int
    enrolled_by: UUID
    enrolled_by_name: str
    enrolled_at: datetime
    ended_at: datetime | None
    ended_by: UUID | None
    ended_by_name: str | None
    replied_at: datetime | None
    paused_at: datetime | None
    due_at: datetime | None
    next_send_at: datetime | None
    reply_until: datetime | None
    last_message_at: datetime | None
    failing_code: int | None


@dataclass(frozen=True)
class EventRow:
    """Something that no other row tells."""

    at: datetime
    kind: str
    user_id: UUID | None
    user_name: str | None
    detail: Mapping[str, Any]


@dataclass(frozen=True)
class MessageRow:
    """A text to or from the contact."""

    id: UUID
    direction: Direction
    step: int | None
    pass_number: int | None
    user_id: UUID | None
    user_name: str | None
    body: str
    media_urls: list[str]
    status: MessageStatus
    keyword: str | None
    is_reply: bool
    occurred_at: datetime | None
    created_at: datetime


@dataclass(frozen=True)
class AttemptFacts:
    """A call to the provider."""

    id: UUID
    message_id: UUID
    number: int
    outcome: AttemptOutcome
    started_at: datetime
    answered_at: datetime | None
    provider_sid: str | None
    provider_status: MessageStatus | None
    reported_failed: bool
    error_code: int | None
    http_status: int | None


async def facts(tx: Transaction, enrollment_id: UUID) -> EnrollmentFacts | None:
    """Read one enrollment; None if there is no such."""
    ender = aliased(User)
    row: Row[*tuple[Any, ...]] | None = (
        await tx.execute(
            select(
                col(Enrollment.id),
                col(Enrollment.sequence_id),
                col(Sequence.name).label("sequence_name"),
                col(Sequence.state).label("sequence_state"),
                col(Sequence.kind),
                col(Sequence.send_window),
                col(Sequence.sender_id),
                col(Sender.name).label("sender_name"),
                col(Sender.held_at).label("sender_held_at"),
                col(Sender.hold_code).label("sender_hold_code"),
                col(Enrollment.version_id),
                col(SequenceVersion.number).label("version"),
                col(Enrollment.contact_id),
                col(Contact.first_name),
                col(Contact.last_name),
                col(Contact.phone),
                col(Contact.time_zone),
                col(Enrollment.status),
                col(Enrollment.activity),
                col(Enrollment.held_reason),
                col(Enrollment.held_code),
                col(Enrollment.error_code),
                col(Enrollment.position),
                col(Enrollment.step),
                col(Enrollment.step_count),
                col(Enrollment.pass_number).label("pass_number"),
                col(Enrollment.enrolled_by),
                col(User.name).label("enrolled_by_name"),
                col(Enrollment.enrolled_at),
                col(Enrollment.ended_at),
                col(Enrollment.ended_by),
                col(ender.name).label("ended_by_name"),
                col(Enrollment.replied_at),
                col(Enrollment.paused_at),
                col(Enrollment.due_at),
                col(Enrollment.next_send_at),
                col(Enrollment.reply_until),
                col(Enrollment.last_message_at),
                failing_code().label("failing_code"),
            )
            .select_from(Enrollment)
            .join(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
            .join(Sender, col(Sender.id) == col(Sequence.sender_id))
            .join(SequenceVersion, col(SequenceVersion.id) == col(Enrollment.version_id))
            .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
            .join(User, col(User.id) == col(Enrollment.enrolled_by))
            .outerjoin(ender, col(ender.id) == col(Enrollment.ended_by))
            .where(col(Enrollment.id) == enrollment_id)
        )
    ).one_or_none()
    return None if row is None else EnrollmentFacts(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


async def events(tx: Transaction, enrollment_id: UUID) -> list[EventRow]:
    """Read what was noted about an enrollment, in order."""
    rows = await tx.execute(
        select(
            col(EnrollmentEvent.at),
            col(EnrollmentEvent.kind),
            col(EnrollmentEvent.user_id),
            col(User.name),
            col(EnrollmentEvent.detail),
        )
        .outerjoin(User, col(User.id) == col(EnrollmentEvent.user_id))
        .where(col(EnrollmentEvent.enrollment_id) == enrollment_id)
        .order_by(col(EnrollmentEvent.id))
    )
    return [EventRow(*row) for row in rows]


async def messages(tx: Transaction, enrollment: EnrollmentFacts) -> list[MessageRow]:
    """Read the texts of an enrollment, and all that its contact wrote while it was active."""
    query = select(
        col(Message.id),
        col(Message.direction),
        col(Message.step),
        col(Message.pass_number),
        col(Message.user_id),
        col(User.name),
        col(Message.body),
        col(Message.media_urls),
        col(Message.status),
        col(Message.keyword),
        col(Message.is_reply),
        col(Message.occurred_at),
        col(Message.created_at),
    ).outerjoin(User, col(User.id) == col(Message.user_id))
    own = query.where(col(Message.enrollment_id) == enrollment.id)
    heard = query.where(
        col(Message.contact_id) == enrollment.contact_id,
        col(Message.direction) == Direction.INBOUND,
        col(Message.enrollment_id).is_distinct_from(enrollment.id),
        func.coalesce(col(Message.occurred_at), col(Message.created_at)) >= enrollment.enrolled_at,
    )
    if enrollment.ended_at is not None:
        heard = heard.where(col(Message.created_at) <= enrollment.ended_at + _AFTERWARDS)
    rows = [*await tx.execute(own), *await tx.execute(heard)]
    return [MessageRow(*row) for row in rows]


async def attempts(tx: Transaction, message_ids: Many[UUID]) -> list[AttemptFacts]:
    """Read the calls that were made for texts, in order."""
    rows = await tx.execute(
        select(
            col(Attempt.id),
            col(Attempt.message_id),
            col(Attempt.number),
            col(Attempt.outcome),
            col(Attempt.started_at),
            col(Attempt.answered_at),
            col(Attempt.provider_sid),
            col(Attempt.provider_status),
            col(Attempt.reported_failed),
            col(Attempt.error_code),
            col(Attempt.http_status),
        )
        .where(col(Attempt.message_id).in_(message_ids))
        .order_by(col(Attempt.started_at), col(Attempt.number))
    )
    return [AttemptFacts(*row) for row in rows]


async def reports(tx: Transaction, sids: Many[str]) -> dict[tuple[str, str], datetime]:
    """Tell when the provider first reported each status of each of its messages."""
    rows = await tx.execute(
        select(
            col(StatusEvent.provider_sid),
            col(StatusEvent.status),
            func.min(col(StatusEvent.received_at)),
        )
        .where(col(StatusEvent.provider_sid).in_(sids))
        .group_by(col(StatusEvent.provider_sid), col(StatusEvent.status))
    )
    return {(sid, status): at for sid, status, at in rows}
