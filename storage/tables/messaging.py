"""The tables of senders, messages, attempts and what the provider told us."""

from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Column, Index, Integer, Numeric, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from domain.statuses.messaging import AttemptOutcome, Direction, MessageStatus, TextKind
from storage.tables.columns import code, computed, json, moment, one_of, reference, serial


class BackfillProgress(SQLModel, table=True):
    """How far what the provider has was fetched in all; one row.

    Every text sent until ``fetched_until`` was looked for; until ``missed_until`` webhooks may have
    failed. After ``failures`` questions about states in a row without an answer none is asked
    before ``next_try_at``. The release before reads ``reading_until`` and ``page``.
    """

    __tablename__: ClassVar[Any] = "catch_up"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)
    id: int = Field(default=1, primary_key=True)
    fetched_until: datetime = moment(default_now=True)
    missed_until: datetime | None = moment(nullable=True)
    reading_until: datetime | None = moment(nullable=True)
    page: str | None = None
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime | None = moment(nullable=True)


class BackfillList(SQLModel, table=True):
    """How far one list of inbound texts was fetched from the provider.

    ``phone`` is the number of ours that the list is of; empty for the whole account's. Everything
    sent until ``fetched_until`` was looked for. A list that is longer than one sweep reads goes on
    at ``page`` and ends with ``reading_until``. After ``failures`` questions in a row without an
    answer none is asked before ``next_try_at``.
    """

    __tablename__: ClassVar[Any] = "catch_up_lists"
    phone: str = Field(primary_key=True)
    fetched_until: datetime = moment()
    reading_until: datetime | None = moment(nullable=True)
    page: str | None = None
    failures: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime | None = moment(nullable=True)


NOT_LOOKED_FOR_AGAIN = "outcome = 'absent' AND absent_once_at IS NOT NULL AND look_ups = 0"
"""SQL: an attempt declared absent that the provider has not been asked for since."""


class Sender(SQLModel, table=True):
    """A Twilio number or Messaging Service; may be on hold.

    ``hold_code`` is the provider's error code that put it on hold, ``hold_from_report`` whether
    that came in a later report (then acceptance alone proves nothing); ``next_probe_at`` is when
    one of its waiting texts may be tried again. ``shows_texts``: whether the provider shows its
    texts as they were handed over; null before it accepted any. ``shows_texts_at``: when that was
    last seen, give or take a day.
    """

    __tablename__: ClassVar[Any] = "senders"
    __table_args__ = (
        CheckConstraint(
            "(phone IS NULL) <> (messaging_service_sid IS NULL)", name="phone_or_service"
        ),
        CheckConstraint("segments_per_second > 0", name="rate_positive"),
        CheckConstraint(
            "(held_at IS NULL) = (next_probe_at IS NULL)", name="a_hold_has_a_next_probe"
        ),
        UniqueConstraint("phone"),
        UniqueConstraint("messaging_service_sid"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    phone: str | None = None
    messaging_service_sid: str | None = None
    segments_per_second: Decimal = Field(default=Decimal(1), sa_type=Numeric(8, 3))
    held_at: datetime | None = moment(nullable=True)
    hold_code: int | None = None
    hold_from_report: bool = Field(
        default=False, sa_column_kwargs={"server_default": text("false")}
    )
    next_probe_at: datetime | None = moment(nullable=True)
    shows_texts: bool | None = None
    shows_texts_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment(default_now=True)


class Message(SQLModel, table=True):
    """One inbound or outbound text; outbound ones of a step are unique per step and pass.

    ``phone`` is the other party's number, as the provider gave it. ``occurred_at`` is the
    provider's time of an inbound text, and the acceptance of an outbound one. ``failed_tries``
    counts transient failures and proven absences; ``next_try_at`` is when the same text may be
    tried again. ``send_at`` is when a one-off that was scheduled may first go: until then it is
    its ``next_try_at`` too, and ``created_at`` is when it was written; afterwards that is
    ``written_at``, and ``created_at`` when it went. ``cancel_reason`` is why a one-off was
    canceled, or is to be once the attempt under way proves not to have sent it. ``draft_hash``
    tells a reply as it was written, before its merge fields were filled in, from any other.
    ``kind`` is what an inbound text is, null for one that came before that was told; ``about_id``
    the text of ours that a reaction is about. ``dismissed_at`` is when a person marked one that
    came from nobody's number done. ``consent_id`` is the consent that the latest attempt at a text
    of ours went under.
    """

    __tablename__: ClassVar[Any] = "messages"
    __table_args__ = (
        one_of("direction", Direction),
        one_of("status", MessageStatus),
        one_of("kind", TextKind),
        CheckConstraint("(step IS NULL) = (pass IS NULL)", name="step_has_pass"),
        CheckConstraint("step IS NULL OR enrollment_id IS NOT NULL", name="step_of_enrollment"),
        CheckConstraint("direction = 'inbound' OR provider_sid IS NULL", name="sid_of_inbound"),
        Index(
            "uq_messages_step",
            "enrollment_id",
            "step",
            "pass",
            unique=True,
            postgresql_where=text("step IS NOT NULL"),
        ),
        UniqueConstraint("provider_sid"),
        Index("ix_messages_enrollment", "enrollment_id"),
        Index("ix_messages_phone", "phone", "created_at"),
        Index("ix_messages_contact", "contact_id", "created_at", "id"),
        Index("ix_messages_created", "created_at", "id"),
        Index(
            "ix_messages_unknown", "created_at", "id", postgresql_where=text("contact_id IS NULL")
        ),
        Index("ix_messages_inbound", "phone", postgresql_where=text("direction = 'inbound'")),
        Index("ix_messages_opt_in", "phone", postgresql_where=text("keyword = 'opt_in'")),
        Index(
            "ix_messages_asking",
            "created_at",
            "id",
            postgresql_where=text(
                "direction = 'inbound' AND keyword IS NULL AND contact_id IS NOT NULL"
            ),
        ),
        # Without status or acceptance: they would then be written into every index.
        Index(
            "ix_messages_one_offs",
            "created_at",
            postgresql_where=text("direction = 'outbound' AND step IS NULL"),
        ),
        Index(
            "ix_messages_media",
            "media_urls",
            postgresql_using="gin",
            postgresql_ops={"media_urls": "jsonb_path_ops"},
            postgresql_where=text("media_urls <> '[]'"),
        ),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    direction: Direction = Field(sa_type=code(Direction))
    contact_id: UUID | None = reference("contacts.id", nullable=True)
    phone: str
    sender_id: UUID | None = None  # no foreign key: see storage/platform/locks.py
    consent_id: UUID | None = None  # no foreign key, as for the sender
    enrollment_id: UUID | None = reference("enrollments.id", nullable=True)
    step: int | None = None
    pass_number: int | None = Field(default=None, sa_column=Column("pass", Integer, nullable=True))
    user_id: UUID | None = reference("users.id", nullable=True)
    body: str
    draft_hash: str | None = None
    media_urls: list[str] = json("[]")
    status: MessageStatus = Field(sa_type=code(MessageStatus))
    error_code: int | None = None
    keyword: str | None = None
    is_reply: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    kind: TextKind | None = Field(default=None, sa_type=code(TextKind))
    about_id: UUID | None = None  # no foreign key: its check would lock the text of ours
    provider_sid: str | None = None
    occurred_at: datetime | None = moment(nullable=True)
    failed_tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime | None = moment(nullable=True)
    send_at: datetime | None = moment(nullable=True)
    written_at: datetime | None = moment(nullable=True)
    cancel_reason: str | None = None
    dismissed_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment(default_now=True)


class Attempt(SQLModel, table=True):
    """One call to the provider for an outbound message.

    ``call_before`` is the database's time after which the call may not begin. ``absent_once_at``
    is when the provider's list was first seen without it. The unique index ``uq_attempts_live`` is
    the promise itself: per message at most one attempt that is open, unknown, or accepted and not
    reported failed. ``look_ups`` counts how often the provider was asked how the text ended;
    ``unfinished``: it has the text, has not said how it ended, and is to be asked.
    ``doubled_at`` is when one that was declared absent turned out to be a second text.
    ``rule_packs`` are those it went under, each with its version.
    """

    __tablename__: ClassVar[Any] = "attempts"
    __table_args__ = (
        one_of("outcome", AttemptOutcome),
        UniqueConstraint("message_id", "number"),
        UniqueConstraint("provider_sid"),
        Index(
            "uq_attempts_live",
            "message_id",
            unique=True,
            postgresql_where=text(
                "outcome IN ('open', 'unknown', 'accepted', 'assumed_sent') AND NOT reported_failed"
            ),
        ),
        Index(
            "ix_attempts_unsettled",
            "started_at",
            postgresql_where=text("outcome IN ('open', 'unknown')"),
        ),
        Index(
            "ix_attempts_unfinished", "look_ups", "answered_at", postgresql_where=text("unfinished")
        ),
        Index("ix_attempts_absent", "answered_at", postgresql_where=text(NOT_LOOKED_FOR_AGAIN)),
        Index("ix_attempts_doubled", "doubled_at", postgresql_where=text("doubled_at IS NOT NULL")),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    message_id: UUID = reference("messages.id")
    number: int
    outcome: AttemptOutcome = Field(default=AttemptOutcome.OPEN, sa_type=code(AttemptOutcome))
    started_at: datetime = moment()
    call_before: datetime = moment()
    rule_packs: list[str] = json("[]")
    answered_at: datetime | None = moment(nullable=True)
    provider_sid: str | None = None
    provider_status: MessageStatus | None = Field(default=None, sa_type=code(MessageStatus))
    reported_failed: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    error_code: int | None = None
    http_status: int | None = None
    from_phone: str | None = None
    absent_once_at: datetime | None = moment(nullable=True)
    look_ups: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    doubled_at: datetime | None = moment(nullable=True)
    unfinished: bool = computed(
        "coalesce(outcome = 'accepted' AND NOT reported_failed AND look_ups < 6 AND provider_status"
        " NOT IN ('canceled', 'failed', 'undelivered', 'delivered', 'read'), false)"
    )


class InboundEvent(SQLModel, table=True):
    """An inbound text as the provider told it; unapplied ones block sends to the number."""

    __tablename__: ClassVar[Any] = "inbound_events"
    __table_args__ = (
        Index("ix_inbound_events_unapplied", "phone", postgresql_where=text("applied_at IS NULL")),
        Index("ix_inbound_events_erased", "occurred_at", postgresql_where=text("phone = ''")),
    )
    provider_sid: str = Field(primary_key=True)
    phone: str
    payload: dict[str, Any] = json()
    occurred_at: datetime = moment()
    received_at: datetime = moment(default_now=True)
    applied_at: datetime | None = moment(nullable=True)


class StatusEvent(SQLModel, table=True):
    """A status callback, stored once per ``(MessageSid, status, error)``."""

    __tablename__: ClassVar[Any] = "status_events"
    __table_args__ = (
        UniqueConstraint(
            "provider_sid", "status", "error_code", postgresql_nulls_not_distinct=True
        ),
        Index("ix_status_events_unapplied", "id", postgresql_where=text("applied_at IS NULL")),
    )
    id: int | None = serial()
    provider_sid: str
    status: str
    error_code: int | None = None
    attempt_id: UUID | None = None
    payload: dict[str, Any] = json()
    received_at: datetime = moment(default_now=True)
    applied_at: datetime | None = moment(nullable=True)


class SavedReply(SQLModel, table=True):
    """A text that users insert into replies; a user's own, or everybody's without an owner."""

    __tablename__: ClassVar[Any] = "saved_replies"
    __table_args__ = (
        Index(
            "uq_saved_replies_name",
            "owner_id",
            text("lower(name)"),
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    owner_id: UUID | None = reference("users.id", nullable=True)
    name: str
    body: str
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class ProofKey(SQLModel, table=True):
    """A key that proofs of texts are signed with, in Base64; only the present one can sign."""

    __tablename__: ClassVar[Any] = "proof_keys"
    __table_args__ = (
        CheckConstraint(
            "(private_key IS NULL) = (retired_at IS NOT NULL)", name="present_is_private"
        ),
        Index(
            "uq_proof_keys_present",
            text("(true)"),
            unique=True,
            postgresql_where=text("retired_at IS NULL"),
        ),
    )
    public_key: str = Field(primary_key=True)
    private_key: str | None = None
    created_at: datetime = moment(default_now=True)
    retired_at: datetime | None = moment(nullable=True)
