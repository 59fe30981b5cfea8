"""The tables of users, tokens, sessions and sign-in delays."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, text
from sqlmodel import Field, SQLModel

from domain.statuses.access import Role
from storage.tables.columns import code, json, moment, one_of, reference


class SignIn(SQLModel, table=True):
    """A session of someone at a browser; only the SHA-256 of its token is kept.

    ``address`` and ``user_agent`` are of the sign-in, for people to recognize their sessions.
    """

    __tablename__: ClassVar[Any] = "sessions"
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = reference("users.id", index=True)
    token_hash: str = Field(unique=True)
    created_at: datetime = moment(default_now=True)
    last_seen_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()
    ended_at: datetime | None = moment(nullable=True)
    address: str | None = None
    user_agent: str | None = None


class SetUpLink(SQLModel, table=True):
    """A link on which a user gives themselves a password, once; only its token's SHA-256 is kept.

    A user has one at most: making another replaces it, using it removes it.
    """

    __tablename__: ClassVar[Any] = "set_up_links"
    user_id: UUID = Field(sa_column=Column(ForeignKey("users.id"), primary_key=True))
    token_hash: str = Field(unique=True)
    created_at: datetime = moment(default_now=True)
    expires_at: datetime = moment()


class WrongTries(SQLModel, table=True):
    """How often something was tried in vain in one span of time, for all processes."""

    __tablename__: ClassVar[Any] = "wrong_tries"
    __table_args__ = (CheckConstraint("wrong >= 0", name="wrong_not_negative"),)
    key: str = Field(primary_key=True)
    wrong: int = Field(default=0, sa_column_kwargs={"server_default": "0"})
    next_at: datetime | None = moment(nullable=True)
    since: datetime = moment(default_now=True)


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
    scopes: list[str] = json('["read", "write", "send", "admin"]')
    created_at: datetime = moment(default_now=True)
    expires_at: datetime | None = moment(nullable=True)
    revoked_at: datetime | None = moment(nullable=True)
    last_used_at: datetime | None = moment(nullable=True)


class SavedView(SQLModel, table=True):
    """Filters, order and columns of a list that a user named; ``query`` is its address's."""

    __tablename__: ClassVar[Any] = "saved_views"
    __table_args__ = (
        Index("uq_saved_views_name", "user_id", "page", text("lower(name)"), unique=True),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: UUID = reference("users.id")
    page: str
    name: str
    query: str
    created_at: datetime = moment(default_now=True)


class Preference(SQLModel, table=True):
    """How a user wants the pages: one value for each name."""

    __tablename__: ClassVar[Any] = "preferences"
    user_id: UUID = Field(foreign_key="users.id", primary_key=True)
    name: str = Field(primary_key=True)
    value: dict[str, Any] = json()
