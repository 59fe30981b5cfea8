"""The tables of contacts, their fields, groups with their opt-in pages, and consents."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Column, FetchedValue, Index, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from domain.statuses.contacts import FieldType, LineType
from storage.tables.columns import code, json, moment, one_of, reference


class FormerPhone(SQLModel, table=True):
    """A number that was a contact's before another: what is kept of it is erased with them."""

    __tablename__: ClassVar[Any] = "former_phones"
    contact_id: UUID = Field(foreign_key="contacts.id", primary_key=True)
    phone: str = Field(primary_key=True)


E164 = r"phone ~ '^\+[1-9][0-9]{1,14}$'"


class ContactField(SQLModel, table=True):
    """A workspace's own fact about contacts: what ``contacts.fields`` may hold under ``key``.

    One that is being deleted, since ``removed_at``, is there until no contact has a value of it.
    """

    __tablename__: ClassVar[Any] = "contact_fields"
    __table_args__ = (UniqueConstraint("key"), one_of("type", FieldType))
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    key: str
    label: str
    type: FieldType = Field(sa_type=code(FieldType))
    created_at: datetime = moment(default_now=True)
    removed_at: datetime | None = moment(nullable=True)


class Contact(SQLModel, table=True):
    """A person with one phone number.

    ``external_id`` is the person's id in a program that syncs contacts. ``fields`` holds values by
    the keys of ``contact_fields``, as ``domain.contacts.fields`` makes them. ``country``, ``state``
    and ``postal_code`` are as given, by ``domain.platform.jurisdictions``. ``owner_id`` is whose
    inbox their replies belong to; null: everybody's. ``conversation_done_at`` is the last text
    there was when a person marked the conversation done; it is until the contact writes again, or,
    if it was snoozed, until ``conversation_snoozed_until``.
    ``search_name`` is the name as ``domain.platform.folding.folded_name`` folds it.
    """

    __tablename__: ClassVar[Any] = "contacts"
    __table_args__ = (
        CheckConstraint(E164, name="phone_e164"),
        UniqueConstraint("phone"),
        one_of("line_type", LineType),
        Index("ix_contacts_name", "search_name", "id"),
        Index("ix_contacts_created", "created_at", "id"),
        Index("uq_contacts_external_id", "external_id", unique=True),
        Index("ix_contacts_updated", "updated_at", "id"),
        Index(
            "ix_contacts_snoozed",
            "conversation_snoozed_until",
            postgresql_where=text("conversation_snoozed_until IS NOT NULL"),
        ),
        Index("ix_contacts_owner", "owner_id", postgresql_where=text("owner_id IS NOT NULL")),
        Index(
            "ix_contacts_fields",
            "fields",
            postgresql_using="gin",
            postgresql_ops={"fields": "jsonb_path_ops"},
        ),
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
    country: str | None = None
    state: str | None = None
    postal_code: str | None = None
    line_type: LineType | None = Field(default=None, sa_type=code(LineType))
    external_id: str | None = None
    fields: dict[str, Any] = json("{}")
    owner_id: UUID | None = reference("users.id", nullable=True)
    conversation_done_at: datetime | None = moment(nullable=True)
    conversation_snoozed_until: datetime | None = moment(nullable=True)
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)
    # A trigger writes it, whatever is given.
    search_name: str = Field(
        default=None, sa_column=Column(Text, server_default=FetchedValue(), nullable=False)
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


class ContactNote(SQLModel, table=True):
    """What a user wrote about a contact for their colleagues; never sent."""

    __tablename__: ClassVar[Any] = "contact_notes"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    contact_id: UUID = Field(foreign_key="contacts.id", ondelete="CASCADE", index=True)
    author_id: UUID = reference("users.id")
    body: str
    created_at: datetime = moment(default_now=True)


class Consent(SQLModel, table=True):
    """That a number may be texted, by whose word; never changed, erased with the number alone.

    ``given_at`` is when the person said so, ``written`` that they did in writing, to ``wording``.
    ``address`` is the network address that it came from, ``user_id`` who noted it, ``message_id``
    the text that said it (no foreign key: texts are erased with their contact). An opt-out after
    it revokes it for good.
    """

    __tablename__: ClassVar[Any] = "consents"
    __table_args__ = (
        CheckConstraint(E164, name="phone_e164"),
        CheckConstraint("wording IS NOT NULL OR NOT written", name="written_has_wording"),
        Index("ix_consents_phone", "phone", "given_at"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    phone: str
    source: str
    wording: str | None = None
    written: bool = Field(sa_column_kwargs={"server_default": text("false")})
    given_at: datetime = moment()
    recorded_at: datetime = moment(default_now=True)
    address: str | None = None
    user_id: UUID | None = reference("users.id", nullable=True)
    message_id: UUID | None = None


class OptInPage(SQLModel, table=True):
    """The public page on which people agree to texts and join a group.

    ``slug`` ends its address. ``sender_id`` is whom they can text START instead.
    """

    __tablename__: ClassVar[Any] = "opt_in_pages"
    __table_args__ = (UniqueConstraint("slug"),)
    group_id: UUID = Field(foreign_key="groups.id", primary_key=True, ondelete="CASCADE")
    slug: str
    title: str
    wording: str
    terms_url: str
    sender_id: UUID | None = reference("senders.id", nullable=True)
    created_at: datetime = moment(default_now=True)
    updated_at: datetime = moment(default_now=True)
