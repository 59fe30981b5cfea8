"""Queries of one enrollment's page: its row and everything that happened to it."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ScalarSelect, Select, bindparam, func, literal_column, select
from sqlalchemy.orm import aliased
from sqlmodel import col

from domain.platform.names import Named
from domain.sequences.sending_hours import SendingHours
from domain.sequences.texts import Value, merge_values
from domain.sequences.timing import Whereabouts
from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus, TextKind
from domain.statuses.sequences import SequenceKind, SequenceState
from storage.contacts import fields
from storage.enrollments.enrollment_list import (
    CONTACT_COLUMNS,
    MISSING_FIELDS,
    PAUSED_REASON,
    WAITS_FOR,
    EnrollmentOfContact,
)
from storage.enrollments.step_outcomes import failing_code
from storage.platform.database import Transaction
from storage.platform.fixed import Fixed
from storage.platform.rows import columns_of
from storage.sequences.sequences import hours_sql
from storage.tables.access import User
from storage.tables.contacts import Contact
from storage.tables.enrollments import Enrollment
from storage.tables.messaging import Message, Sender
from storage.tables.sequences import Sequence, SequenceVersion

_AFTERWARDS = timedelta(seconds=5)
"""The inbound text that ended an enrollment is stored at most this long after its end."""


@dataclass(frozen=True, kw_only=True)
class EnrollmentFacts(EnrollmentOfContact, Whereabouts):
    """An enrollment's row, and what is needed of its sequence, sender, contact and users.

    ``fields`` are the contact's.
    """

    sequence_id: UUID
    sequence_name: str
    sequence_state: SequenceState
    kind: SequenceKind
    hours: SendingHours
    sender_id: UUID
    sender_name: str
    sender_held_at: datetime | None
    sender_hold_code: int | None
    version_id: UUID
    version: int
    position: int
    pass_number: int
    ended_at: datetime | None
    ended_by_id: UUID | None
    ended_by_name: str | None
    replied_at: datetime | None
    paused_at: datetime | None
    due_at: datetime | None
    last_sent_at: datetime | None
    next_try_at: datetime | None
    reply_until: datetime | None
    fields: Mapping[str, Value]
    variables: Mapping[str, Value]

    @property
    def values(self) -> Mapping[str, Value]:
        """The values of merge fields."""
        return merge_values(
            self.first_name, self.last_name, self.phone, self.fields, self.variables
        )

    @property
    def sender(self) -> Named:
        """The sequence's sender."""
        return Named(self.sender_id, self.sender_name)

    @property
    def ended_by(self) -> Named | None:
        """Who ended it, if a person did."""
        return Named.of(self.ended_by_id, self.ended_by_name)


@dataclass(frozen=True)
class EventRow:
    """Something in an enrollment's life that no other row tells."""

    at: datetime
    kind: str
    user_id: UUID | None
    user_name: str | None
    detail: Mapping[str, Any]

    @property
    def user(self) -> Named | None:
        """Who did it, if a person."""
        return Named.of(self.user_id, self.user_name)


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
    media_urls: tuple[str, ...]
    status: MessageStatus
    keyword: str | None
    is_reply: bool
    kind: TextKind | None
    about_id: UUID | None
    occurred_at: datetime | None
    created_at: datetime

    @property
    def user(self) -> Named | None:
        """Who wrote it, if a person."""
        return Named.of(self.user_id, self.user_name)


@dataclass(frozen=True)
class AttemptFacts:
    """One attempt."""

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
    return await tx.one(EnrollmentFacts, _facts(), id=enrollment_id)


@cache
def _facts() -> Fixed:
    ender = aliased(User)
    columns = columns_of(
        EnrollmentFacts,
        Enrollment,
        **CONTACT_COLUMNS,
        country=col(Contact.country),
        state=col(Contact.state),
        postal_code=col(Contact.postal_code),
        paused_reason=PAUSED_REASON,
        missing_fields=MISSING_FIELDS,
        waits_for=WAITS_FOR,
        fields=fields.values(),
        sequence_name=col(Sequence.name),
        sequence_state=col(Sequence.state),
        kind=col(Sequence.kind),
        hours=literal_column(hours_sql("sequences")),
        sender_id=col(Sequence.sender_id),
        sender_name=col(Sender.name),
        sender_held_at=col(Sender.held_at),
        sender_hold_code=col(Sender.hold_code),
        version=col(SequenceVersion.number),
        enrolled_by_id=col(Enrollment.enrolled_by),
        enrolled_by_name=col(User.name),
        ended_by_id=col(Enrollment.ended_by),
        ended_by_name=col(ender.name),
        failing_code=failing_code(),
        next_try_at=_next_try_at(),
    )
    return Fixed(
        select(*columns)
        .select_from(Enrollment)
        .join(Sequence, col(Sequence.id) == col(Enrollment.sequence_id))
        .join(Sender, col(Sender.id) == col(Sequence.sender_id))
        .join(SequenceVersion, col(SequenceVersion.id) == col(Enrollment.version_id))
        .join(Contact, col(Contact.id) == col(Enrollment.contact_id))
        .join(User, col(User.id) == col(Enrollment.enrolled_by))
        .outerjoin(ender, col(ender.id) == col(Enrollment.ended_by))
        .where(col(Enrollment.id) == bindparam("id"))
    )


def _next_try_at() -> ScalarSelect[datetime | None]:
    """Select when an enrollment's current text may be tried again, if it failed."""
    return (
        select(col(Message.next_try_at))
        .where(
            col(Message.enrollment_id) == col(Enrollment.id),
            col(Message.step) == col(Enrollment.position),
            col(Message.pass_number) == col(Enrollment.pass_number),
        )
        .scalar_subquery()
    )


async def events(tx: Transaction, enrollment_id: UUID) -> list[EventRow]:
    """Read the events of an enrollment, in order."""
    sql = """
        SELECT v.at, v.kind, v.user_id, u.name AS user_name, v.detail
        FROM enrollment_events v LEFT JOIN users u ON u.id = v.user_id
        WHERE v.enrollment_id = :id ORDER BY v.id
    """
    return await tx.rows(EventRow, sql, id=enrollment_id)


async def messages(tx: Transaction, enrollment: EnrollmentFacts) -> list[MessageRow]:
    """Read the texts of an enrollment, and all that its contact wrote while it was active."""
    times = {"since": enrollment.enrolled_at}
    if enrollment.ended_at is not None:
        times["until"] = enrollment.ended_at + _AFTERWARDS
    ids = {"id": enrollment.id, "contact_id": enrollment.contact_id}
    heard = _heard(has_ended="until" in times)
    return [
        *await tx.rows(MessageRow, _own_texts(), id=enrollment.id),
        *await tx.rows(MessageRow, heard, **ids, **times),
    ]


@cache
def _texts() -> Select[*tuple[Any, ...]]:
    return select(*columns_of(MessageRow, Message, user_name=col(User.name))).outerjoin(
        User, col(User.id) == col(Message.user_id)
    )


@cache
def _own_texts() -> Fixed:
    return Fixed(_texts().where(col(Message.enrollment_id) == bindparam("id")))


@cache
def _heard(*, has_ended: bool) -> Fixed:
    heard = _texts().where(
        col(Message.contact_id) == bindparam("contact_id"),
        col(Message.direction) == Direction.INBOUND,
        col(Message.enrollment_id).is_distinct_from(bindparam("id")),
        func.coalesce(col(Message.occurred_at), col(Message.created_at)) >= bindparam("since"),
    )
    return Fixed(heard.where(col(Message.created_at) <= bindparam("until")) if has_ended else heard)


async def attempts(tx: Transaction, message_ids: Many[UUID]) -> list[AttemptFacts]:
    """Read the attempts of texts, in order."""
    sql = """
        SELECT id, message_id, number, outcome, started_at, answered_at, provider_sid,
            provider_status, reported_failed, error_code, http_status
        FROM attempts WHERE message_id = ANY(CAST(:ids AS uuid[])) ORDER BY started_at, number
    """
    return await tx.rows(AttemptFacts, sql, ids=message_ids)


async def reports(tx: Transaction, sids: Many[str]) -> dict[tuple[str, str], datetime]:
    """Read when each status was first reported, by the provider's message id and status."""
    sql = """
        SELECT provider_sid, status, min(received_at) FROM status_events
        WHERE provider_sid = ANY(:sids) GROUP BY 1, 2
    """
    return {(sid, status): at for sid, status, at in await tx.run(sql, sids=sids)}
