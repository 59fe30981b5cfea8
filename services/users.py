"""Who may use Segue, and the tokens they do it with."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from argon2 import PasswordHasher
from email_validator import EmailNotValidError, validate_email

from domain import names
from domain.errors import ConflictError, InvalidFieldError, NotFoundError, SegueError
from domain.paging import Page, Position
from domain.statuses import Role
from storage import users
from storage.database import Database
from storage.tables import ApiToken, User

PASSWORD_LENGTH = 12
"""Fewest characters of a password."""

PASSWORD_LENGTH_MOST = 1024
"""Most characters of a password; hashing more would be a way to keep the API busy."""

_TOKEN_PREFIX = "sgt_"  # noqa: S105 - marks our tokens for secret scanners
_TOKEN_BYTES = 32  # 43 URL-safe characters
_TOKEN_LENGTH = len(_TOKEN_PREFIX) + 43
_NOTE_USE_EVERY = timedelta(minutes=1)


class NotSignedInError(SegueError):
    """The caller did not prove who they are."""

    code = "unauthorized"

    def __init__(self, *, token_given: bool) -> None:
        super().__init__(
            "the token is unknown, expired or revoked"
            if token_given
            else "a token is needed; send it as Authorization: Bearer <token>"
        )
        self.token_given = token_given


class ForbiddenError(SegueError):
    """The caller's role does not allow this.

    Attributes:
        needed: The least role that does.
    """

    code = "forbidden"

    def __init__(self, needed: Role) -> None:
        super().__init__(f"this takes the role {needed.value}; ask an admin")
        self.needed = needed


@dataclass(frozen=True)
class UserDetails:
    """A user as shown to users.

    Attributes:
        id: The user.
        email: As given.
        name: What colleagues see.
        role: What they may do.
        created_at: UTC.
        disabled_at: Since when they may do nothing, UTC.
    """

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None

    @classmethod
    def of(cls, user: User) -> "UserDetails":
        """Read a row."""
        return cls(user.id, user.email, user.name, user.role, user.created_at, user.disabled_at)


@dataclass(frozen=True)
class TokenDetails:
    """A token without the token.

    Attributes:
        id: For revoking it.
        name: What it is for.
        created_at: UTC.
        expires_at: UTC; None for never.
        revoked_at: UTC; None if it is not.
        last_used_at: UTC, to the minute; None for never.
    """

    id: UUID
    name: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @classmethod
    def of(cls, token: ApiToken) -> "TokenDetails":
        """Read a row."""
        return cls(
            token.id,
            token.name,
            token.created_at,
            token.expires_at,
            token.revoked_at,
            token.last_used_at,
        )


@dataclass(frozen=True)
class NewToken:
    """A token that was just made.

    Attributes:
        token: The only time it can be seen.
        details: What is kept.
    """

    token: str
    details: TokenDetails


class Users:
    """Makes users and tokens, and tells who a token belongs to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hasher = PasswordHasher()

    async def create(
        self, *, email: str, role: Role, name: str = "", password: str | None = None
    ) -> UserDetails:
        """Add a user.

        Args:
            email: Unique in whatever case.
            role: What they may do.
            name: What colleagues see; empty for the part of the address before the ``@``.
            password: For signing in to the pages; None if they only use tokens.

        Raises:
            InvalidFieldError: A field cannot be taken.
            ConflictError: ``email_taken``.
        """
        address = _clean_email(email)
        shown = names.clean(name, field="name", blank=True) or address.partition("@")[0]
        hashed = None if password is None else await self._hash(password)
        values = {"email": address, "name": shown, "role": role, "password_hash": hashed}
        async with self._database.transaction() as tx:
            user = await users.add(tx, values)
        if user is None:
            raise ConflictError("email_taken", "another user has this e-mail address")
        return UserDetails.of(user)

    async def by_email(self, email: str) -> UserDetails | None:
        """Give the user with an e-mail address, in whatever case."""
        async with self._database.transaction() as tx:
            user = await users.by_email(tx, email)
        return None if user is None else UserDetails.of(user)

    async def find(self, *, after: Position | None = None, limit: int = 50) -> Page[UserDetails]:
        """List users in the order they were made."""
        async with self._database.transaction() as tx:
            rows = await users.find(tx, after=after, limit=limit + 1)
        last = rows[limit - 1] if len(rows) > limit else None
        return Page(
            [UserDetails.of(user) for user in rows[:limit]],
            Position(last.created_at, last.id) if last else None,
        )

    async def create_token(
        self, user_id: UUID, *, name: str, expires_at: datetime | None = None
    ) -> NewToken:
        """Make a token for a user; only its SHA-256 is kept.

        Args:
            user_id: Whose.
            name: What it is for.
            expires_at: Aware moment; None for never.

        Raises:
            InvalidFieldError: A field cannot be taken.
            NotFoundError: There is no such user.
        """
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidFieldError("expires_at", "is past; give a moment to come")
        called = names.clean(name, field="name")
        token = _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        values = {
            "user_id": user_id,
            "name": called,
            "token_hash": _digest(token),
            "expires_at": expires_at,
        }
        async with self._database.transaction() as tx:
            if await users.get(tx, user_id) is None:
                raise NotFoundError("user", user_id)
            row = await users.add_token(tx, values)
        return NewToken(token, TokenDetails.of(row))

    async def tokens_of(self, user_id: UUID) -> Sequence[TokenDetails]:
        """List a user's tokens, revoked and expired ones too, the newest first.

        Raises:
            NotFoundError: There is no such user.
        """
        async with self._database.transaction() as tx:
            if await users.get(tx, user_id) is None:
                raise NotFoundError("user", user_id)
            return [TokenDetails.of(token) for token in await users.tokens_of(tx, user_id)]

    async def revoke_token(self, user_id: UUID, token_id: UUID) -> None:
        """Make a token useless from now on; once more does no harm.

        Raises:
            NotFoundError: The user has no such token.
        """
        async with self._database.transaction() as tx:
            if not await users.revoke_token(tx, user_id, token_id):
                raise NotFoundError("token", token_id)

    async def authenticate(self, token: str | None) -> UserDetails:
        """Tell who holds a token.

        Args:
            token: As sent; None if none was.

        Raises:
            NotSignedInError: The token is missing, unknown, expired or revoked, or its user is
                disabled.
        """
        if token is None:
            raise NotSignedInError(token_given=False)
        if len(token) != _TOKEN_LENGTH or not token.startswith(_TOKEN_PREFIX):
            raise NotSignedInError(token_given=True)
        async with self._database.transaction() as tx:
            holder = await users.holder_of(tx, _digest(token), stale_after=_NOTE_USE_EVERY)
            if holder is None:
                raise NotSignedInError(token_given=True)
            if holder.is_stale:
                await users.note_use(tx, holder.token_id)
        return UserDetails.of(holder.user)

    async def _hash(self, password: str) -> str:
        if not PASSWORD_LENGTH <= len(password) <= PASSWORD_LENGTH_MOST:
            raise InvalidFieldError(
                "password",
                f"must have {PASSWORD_LENGTH} to {PASSWORD_LENGTH_MOST} characters",
                code="invalid_password",
            )
        return await asyncio.to_thread(self._hasher.hash, password)


def _digest(token: str) -> str:
    # A token has 256 bits of chance, so a fast hash cannot be guessed back.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _clean_email(raw: str) -> str:
    text = names.clean(raw, field="email", most=254)
    try:
        return validate_email(
            text, check_deliverability=False, globally_deliverable=False
        ).normalized
    except EmailNotValidError:
        raise InvalidFieldError(
            "email", "is not an e-mail address; write one such as kim@example.com"
        ) from None
