"""The tables, with the constraints that make the product's rules unbreakable in the database."""

from datetime import datetime, time
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Identity,
    Index,
    Integer,
    Numeric,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from domain.statuses import (
    Activity,
    AttemptOutcome,
    Direction,
    EnrollmentStatus,
    HeldReason,
    LineType,
    MessageStatus,
    OptOutSource,
    ReplyPolicy,
    Role,
    SequenceKind,
    SequenceState,
)
from storage.columns import code, computed, moment, one_of, reference

NOT_LOOKED_FOR_AGAIN = "outcome = 'absent' AND absent_once_at IS NOT NULL AND look_ups = 0"
"""SQL: an attempt declared absent that the provider has not been asked for since."""

E164 = r"phone ~ '^\+[1-9][0-9]{1,14}$'"


class User(SQLModel, table=True):
    """Someone who signs in or holds an API token."""

    __tablename__: ClassVar[Any] = "users"
    __table_args__ = (
        one_of("role", Role),
        Index("uq_users_email", text("lower(email)"), unique=True),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    email: str
    name: str
    role: Role = Field(sa_type=code(Role))
    password_hash: str | None = None
    created_at: datetime = moment(default_now=True)
    disabled_at: datetime | None = moment(nullable=True)


class ApiToken(SQLModel, table=True):
    """A bearer token; only its SHA-256 is kept."""

    __tablename__: ClassVar[Any] = "api_tokens"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = reference("users.id", index=True)
    name: str
    token_hash: str = Field(unique=True)
    scopes: list[str] = Field(
        sa_column=Column(JSONB, nullable=False, server_default='["read", "write", "send", "admin"]')
    )
    created_at: datetime = moment(default_now=True)
    expires_at: datetime | None = moment(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)
    last_used_at: datetime | None = moment(nullable=True)


class Workspace(SQLModel, table=True):
    """What holds for everyone; one row.

    ``moving_from`` is the zone that steps which wait may still go by, until all have moved.
    ``erasure_key`` keys the hashes of erased numbers.
    """

    __tablename__: ClassVar[Any] = "workspace"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("hour_cycle IN (12, 24)", name="hour_cycle_known"),
    )
    id: int = Field(default=1, primary_key=True)
    time_zone: str | None = None
    moving_from: str | None = None
    hour_cycle: int = Field(default=12, sa_column_kwargs={"server_default": "12"})
    erasure_key: str = Field(
        sa_column_kwargs={"server_default": text("gen_random_uuid()::text || gen_random_uuid()")}
    )


class Contact(SQLModel, table=True):
    """A person with one phone number."""

    __tablename__: ClassVar[Any] = "contacts"
    __table_args__ = (
        CheckConstraint(E164, name="phone_e164"),
        UniqueConstraint("phone"),
        one_of("line_type", LineType),
        Index("ix_contacts_name", "search_name", "id"),
        Index("ix_contacts_created", "created_at", "id"),
        Index(
            "ix_contacts_search_name_trgm",
            "search_name",
            postgresql_using="gin",
            postgresql_ops={"search_name": "gin_trgm_ops"},
        ),
        Index(
            "ix_contacts_phone_trgm",
            "phone",
            postgresql_using="gin",
            postgresql_ops={"phone": "gin_trgm_ops"},
        ),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    first_name: str
    last_name: str
    phone: str
    time_zone: str | None = None
    line_type: LineType | None = Field(default=None, sa_type=code(LineType))
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)
    search_name: str = Field(
        default=None,
        sa_column=Column(
            Text,
            Computed("lower(btrim(first_name || ' ' || last_name))", persisted=True),
            nullable=False,
        ),
    )


class Group(SQLModel, table=True):
    """A named set of contacts."""

    __tablename__: ClassVar[Any] = "groups"
    __table_args__ = (Index("uq_groups_name", text("lower(name)"), unique=True),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    created_at: datetime = moment(default_now=True)


class GroupMember(SQLModel, table=True):
    """One contact in one group."""

    __tablename__: ClassVar[Any] = "group_members"
    group_id: UUID = Field(foreign_key="groups.id", primary_key=True, ondelete="CASCADE")
    contact_id: UUID = Field(
        foreign_key="contacts.id", primary_key=True, ondelete="CASCADE", index=True
    )
    added_by: UUID | None = reference("users.id", nullable=True)
    added_at: datetime = moment(default_now=True)


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


class Sequence(SQLModel, table=True):
    """A sequence; everything but its steps, which live in versions."""

    __tablename__: ClassVar[Any] = "sequences"
    __table_args__ = (
        one_of("kind", SequenceKind),
        one_of("on_reply", ReplyPolicy),
        one_of("state", SequenceState),
        CheckConstraint("reply_window_seconds >= 0", name="reply_window_not_negative"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    name: str
    sender_id: UUID = reference("senders.id", index=True)
    kind: SequenceKind = Field(sa_type=code(SequenceKind))
    on_reply: ReplyPolicy = Field(default=ReplyPolicy.FINISH, sa_type=code(ReplyPolicy))
    reply_window_seconds: int = Field(default=604_800)
    send_window: dict[str, list[str]] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )
    state: SequenceState = Field(default=SequenceState.DRAFT, sa_type=code(SequenceState))
    created_by: UUID = reference("users.id")
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)


class SequenceVersion(SQLModel, table=True):
    """An immutable edition of a sequence's steps; the highest number is the current one."""

    __tablename__: ClassVar[Any] = "sequence_versions"
    __table_args__ = (UniqueConstraint("sequence_id", "number"),)
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    sequence_id: UUID = reference("sequences.id")
    number: int
    step_count: int
    created_by: UUID = reference("users.id")
    created_at: datetime = moment(default_now=True)


class Step(SQLModel, table=True):
    """One text of a version: ``delay_seconds`` (and ``at_time``), or ``send_at`` in local time."""

    __tablename__: ClassVar[Any] = "steps"
    __table_args__ = (
        CheckConstraint("position >= 1", name="position_from_one"),
        CheckConstraint("(delay_seconds IS NULL) <> (send_at IS NULL)", name="delay_or_date"),
        CheckConstraint("at_time IS NULL OR delay_seconds IS NOT NULL", name="time_needs_delay"),
    )
    version_id: UUID = Field(foreign_key="sequence_versions.id", primary_key=True)
    position: int = Field(primary_key=True)
    body: str
    media_urls: list[str] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default="[]")
    )
    delay_seconds: int | None = None
    at_time: time | None = None
    send_at: datetime | None = Field(default=None, sa_type=DateTime(timezone=False))
    segments: int


class Enrollment(SQLModel, table=True):
    """One contact in one sequence version: the row that decides.

    ``position`` is the step to send next (``step_count + 1`` once all went out), ``step`` the step
    last sent (0: none). ``due_at`` is when the step at ``position`` may go as far as its own timing
    says; ``next_send_at`` is that moment moved into the send window, null when nothing is to be
    sent or the enrollment waits for a person. ``reply_until`` is the end of the reply window, null
    before the last text is accepted. ``probing``: it may try a sender that is on hold, once.
    ``paused_at`` is when a person paused this enrollment alone; what was left of its delay then is
    left when it goes on. ``blocked``: it waits for a person, its sequence or its sender.
    """

    __tablename__: ClassVar[Any] = "enrollments"
    __table_args__ = (
        one_of("status", EnrollmentStatus),
        one_of("activity", Activity),
        one_of("held_reason", HeldReason),
        CheckConstraint("(status = 'active') = (ended_at IS NULL)", name="final_has_an_end"),
        CheckConstraint("(status = 'active') = (activity IS NOT NULL)", name="active_does"),
        CheckConstraint("(activity = 'held') = (held_reason IS NOT NULL)", name="held_has_reason"),
        CheckConstraint("step >= 0 AND position >= 1 AND pass >= 1", name="place"),
        CheckConstraint("paused_at IS NULL OR status = 'active'", name="paused_is_active"),
        Index(
            "uq_enrollments_active",
            "contact_id",
            "sequence_id",
            unique=True,
            postgresql_where=text("status = 'active'"),
        ),
        Index("ix_enrollments_list", "sequence_id", "enrolled_at", "id"),
        Index("ix_enrollments_user", "sequence_id", "enrolled_by", "enrolled_at", "id"),
        Index("ix_enrollments_next_send", "sequence_id", "next_send_at", "id"),
        Index("ix_enrollments_last_message", "sequence_id", "last_message_at", "id"),
        Index("ix_enrollments_counts", "sequence_id", "status", "step"),
        Index("ix_enrollments_contact", "contact_id", "status"),
        Index(
            "ix_enrollments_next_event",
            text("coalesce(next_send_at, reply_until)"),
            postgresql_where=text("status = 'active'"),
        ),
        Index("ix_enrollments_blocked", "sequence_id", "id", postgresql_where=text("blocked")),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    sequence_id: UUID = reference("sequences.id")
    version_id: UUID = reference("sequence_versions.id", index=True)
    contact_id: UUID = reference("contacts.id")
    enrolled_by: UUID = reference("users.id")
    enrolled_at: datetime = moment()
    status: EnrollmentStatus = Field(
        default=EnrollmentStatus.ACTIVE, sa_type=code(EnrollmentStatus)
    )
    activity: Activity | None = Field(default=Activity.WAITING, sa_type=code(Activity))
    held_reason: HeldReason | None = Field(default=None, sa_type=code(HeldReason))
    held_code: int | None = None
    ended_at: datetime | None = moment(nullable=True)
    ended_by: UUID | None = reference("users.id", nullable=True)
    error_code: int | None = None
    replied_at: datetime | None = moment(nullable=True)
    position: int = 1
    step: int = 0
    step_count: int
    pass_number: int = Field(
        default=1, sa_column=Column("pass", Integer, nullable=False, server_default="1")
    )
    due_at: datetime | None = moment(nullable=True)
    next_send_at: datetime | None = moment(nullable=True)
    reply_until: datetime | None = moment(nullable=True)
    last_sent_at: datetime | None = moment(nullable=True)
    last_message_at: datetime | None = moment(nullable=True)
    paused_at: datetime | None = moment(nullable=True)
    probing: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    # What is in an index must not change whenever a text goes: PostgreSQL would write to them all.
    blocked: bool = computed("coalesce(activity IN ('paused', 'held'), false)")


class EnrollmentEvent(SQLModel, table=True):
    """Something in an enrollment's life that no other row tells; ``detail`` holds codes and ids."""

    __tablename__: ClassVar[Any] = "enrollment_events"
    __table_args__ = (Index("ix_enrollment_events_enrollment", "enrollment_id", "id"),)
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    enrollment_id: UUID = reference("enrollments.id")
    at: datetime = moment()
    kind: str
    user_id: UUID | None = reference("users.id", nullable=True)
    detail: dict[str, Any] = Field(
        default_factory=dict, sa_column=Column(JSONB, nullable=False, server_default="{}")
    )


class Message(SQLModel, table=True):
    """One inbound or outbound text; outbound ones of a step are unique per step and pass.

    ``phone`` is the other party's number, as the provider gave it. ``occurred_at`` is the
    provider's time of an inbound text, and the acceptance of an outbound one. ``failed_tries``
    counts transient failures and proven absences; ``next_try_at`` is when the same text may be
    tried again.
    """

    __tablename__: ClassVar[Any] = "messages"
    __table_args__ = (
        one_of("direction", Direction),
        one_of("status", MessageStatus),
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
            "ix_messages_unknown",
            "created_at",
            "id",
            postgresql_where=text("contact_id IS NULL"),
        ),
        Index("ix_messages_inbound", "phone", postgresql_where=text("direction = 'inbound'")),
        Index("ix_messages_opt_in", "phone", postgresql_where=text("keyword = 'opt_in'")),
        # Without status or acceptance: they would then be written into every index.
        Index(
            "ix_messages_one_offs",
            "created_at",
            postgresql_where=text("direction = 'outbound' AND step IS NULL"),
        ),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    direction: Direction = Field(sa_type=code(Direction))
    contact_id: UUID | None = reference("contacts.id", nullable=True)
    phone: str
    sender_id: UUID | None = None  # no foreign key: see storage/locks.py
    enrollment_id: UUID | None = reference("enrollments.id", nullable=True)
    step: int | None = None
    pass_number: int | None = Field(default=None, sa_column=Column("pass", Integer, nullable=True))
    user_id: UUID | None = reference("users.id", nullable=True)
    body: str
    media_urls: list[str] = Field(
        default_factory=list, sa_column=Column(JSONB, nullable=False, server_default="[]")
    )
    status: MessageStatus = Field(sa_type=code(MessageStatus))
    error_code: int | None = None
    keyword: str | None = None
    is_reply: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    provider_sid: str | None = None
    occurred_at: datetime | None = moment(nullable=True)
    failed_tries: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_try_at: datetime | None = moment(nullable=True)
    created_at: datetime = moment(default_now=True)


class Attempt(SQLModel, table=True):
    """One call to the provider for an outbound message.

    ``call_before`` is the database's time after which the call may not begin. ``absent_once_at``
    is when the provider's list was first seen without it. The unique index ``uq_attempts_live`` is
    the promise itself: per message at most one attempt that is open, unknown, or accepted and not
    reported failed. ``look_ups`` counts how often the provider was asked how the text ended;
    ``unfinished``: it has the text, has not said how it ended, and is to be asked.
    ``doubled_at`` is when one that was declared absent turned out to be a second text.
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
            "ix_attempts_unfinished",
            "look_ups",
            "answered_at",
            postgresql_where=text("unfinished"),
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


class Suppression(SQLModel, table=True):
    """An opted-out number with its evidence; ``sender_id`` narrows it to one sender.

    ``occurred_at`` is the provider's time of the fact. A lifted one stays as evidence. Of an erased
    contact's number only ``phone_hash`` is left, its HMAC-SHA-256 under the workspace's key.
    ``asked``: the person, or the provider for them, said so, whatever was done by hand besides.
    """

    __tablename__: ClassVar[Any] = "suppressions"
    __table_args__ = (
        one_of("source", OptOutSource),
        CheckConstraint("(phone IS NULL) <> (phone_hash IS NULL)", name="phone_or_hash"),
        Index("ix_suppressions_phone_hash", "phone_hash"),
        Index(
            "uq_suppressions_standing",
            "phone",
            "sender_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("lifted_at IS NULL AND phone IS NOT NULL"),
        ),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    phone: str | None = None
    phone_hash: str | None = None
    asked: bool = Field(default=False, sa_column_kwargs={"server_default": text("false")})
    sender_id: UUID | None = reference("senders.id", nullable=True)
    source: OptOutSource = Field(sa_type=code(OptOutSource))
    reason: str | None = None
    message_id: UUID | None = reference("messages.id", nullable=True)
    attempt_id: UUID | None = reference("attempts.id", nullable=True)
    user_id: UUID | None = reference("users.id", nullable=True)
    occurred_at: datetime = moment()
    created_at: datetime = moment(default_now=True)
    lifted_at: datetime | None = moment(nullable=True)
    lifted_by: UUID | None = reference("users.id", nullable=True)
    lifted_reason: str | None = None
    lifted_message_id: UUID | None = reference("messages.id", nullable=True)


class InboundEvent(SQLModel, table=True):
    """An inbound text as the provider told it; unapplied ones block sends to the number."""

    __tablename__: ClassVar[Any] = "inbound_events"
    __table_args__ = (
        Index(
            "ix_inbound_events_unapplied",
            "phone",
            postgresql_where=text("applied_at IS NULL"),
        ),
        Index(
            "ix_inbound_events_erased",
            "occurred_at",
            postgresql_where=text("phone = ''"),
        ),
    )
    provider_sid: str = Field(primary_key=True)
    phone: str
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
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
    id: int | None = Field(
        default=None, sa_column=Column(BigInteger, Identity(always=True), primary_key=True)
    )
    provider_sid: str
    status: str
    error_code: int | None = None
    attempt_id: UUID | None = None
    payload: dict[str, Any] = Field(sa_column=Column(JSONB, nullable=False))
    received_at: datetime = moment(default_now=True)
    applied_at: datetime | None = moment(nullable=True)
