"""Who may use Segue, and the tokens they do it with."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from domain import names
from domain.errors import ConflictError, InvalidFieldError, NotFoundError, SegueError
from domain.paging import Page, Position, by_creation, cut
from domain.statuses import Role, TokenScope
from services import audit
from services.passwords import Passwords
from storage import sessions, users
from storage.database import Database, Transaction
from storage.tables import ApiToken, User

_TOKEN_PREFIX = "sgt_"  # noqa: S105 - marks our tokens for secret scanners
_TOKEN_BYTES = 32  # 43 URL-safe characters
_TOKEN_LENGTH = len(_TOKEN_PREFIX) + 43
_NOTE_USE_EVERY = timedelta(minutes=1)
_SCOPES = {scope.value: scope for scope in TokenScope}


class NotSignedInError(SegueError):
    """The caller did not prove who they are."""

    code = "unauthorized"

    def __init__(self, *, token_given: bool) -> None:
        super().__init__(
            "the token or session is unknown, expired or ended"
            if token_given
            else "a token is needed; send it as Authorization: Bearer <token>, or sign in"
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


class MissingScopeError(SegueError):
    """The caller's token was not made for this.

    Attributes:
        needed: The scope that it lacks.
    """

    code = "missing_scope"

    def __init__(self, needed: TokenScope) -> None:
        super().__init__(f"this takes a token with the scope {needed.value}; use another one")
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
class Caller:
    """Who calls, and how they proved it.

    Attributes:
        user: Who.
        scopes: What they may do this way, as far as their role lets them; all in a session.
        token_id: The API token they showed; None in a session.
        session_id: Their session; None with a token.
        expires_at: Until when this holds, UTC; None for good.
    """

    user: UserDetails
    scopes: frozenset[TokenScope]
    token_id: UUID | None = None
    session_id: UUID | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class TokenDetails:
    """A token without the token.

    Attributes:
        id: For revoking it.
        name: What it is for.
        scopes: What it may be used for.
        created_at: UTC.
        expires_at: UTC; None for never.
        revoked_at: UTC; None if it is not.
        last_used_at: UTC, to the minute; None for never.
    """

    id: UUID
    name: str
    scopes: list[TokenScope]
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
            _in_order(_scopes_of(token)),
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


class UserChange(TypedDict, total=False):
    """What to change of a user; what is left out stays."""

    name: str
    role: Role
    disabled: bool
    password: str


class Users:
    """Makes and changes users and tokens, and tells who a token belongs to.

    Args:
        database: Where they are kept.
        passwords: Hashes them.
    """

    def __init__(self, database: Database, passwords: Passwords | None = None) -> None:
        self._database = database
        self._passwords = passwords or Passwords()

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
        address = clean_email(email)
        shown = names.clean(name, field="name", blank=True) or address.partition("@")[0]
        hashed = None if password is None else await self._passwords.hash(password)
        values = {"email": address, "name": shown, "role": role, "password_hash": hashed}
        async with self._database.transaction() as tx:
            user = await users.add(tx, values)
            if user is not None:
                await audit.record(tx, "user.create", "user", [user.id], role=role.value)
        if user is None:
            raise ConflictError("email_taken", "another user has this e-mail address")
        return UserDetails.of(user)

    async def by_email(self, email: str) -> UserDetails | None:
        """Give the user with an e-mail address, in whatever case."""
        async with self._database.transaction() as tx:
            user = await users.by_email(tx, email)
        return None if user is None else UserDetails.of(user)

    async def get(self, user_id: UUID) -> UserDetails:
        """Give one user.

        Raises:
            NotFoundError: There is none with this id.
        """
        async with self._database.transaction() as tx:
            user = await users.get(tx, user_id)
        if user is None:
            raise NotFoundError("user", user_id)
        return UserDetails.of(user)

    async def change(self, user_id: UUID, change: UserChange) -> UserDetails:
        """Change a user. Another password or role, or disabling them, ends their sessions.

        Raises:
            InvalidFieldError: A field cannot be taken.
            NotFoundError: There is no such user.
            ConflictError: ``last_admin``: nobody would be left who can manage users.
        """
        wanted: dict[str, Any] = {}
        if "name" in change:
            wanted["name"] = names.clean(change["name"], field="name")
        if "role" in change:
            wanted["role"] = change["role"]
        if "password" in change:
            wanted["password_hash"] = await self._passwords.hash(change["password"])
        async with self._database.transaction() as tx:
            admins = await users.lock_admins(tx)
            user = await users.lock(tx, user_id)
            if user is None:
                raise NotFoundError("user", user_id)
            if "disabled" in change and change["disabled"] != (user.disabled_at is not None):
                wanted["disabled_at"] = datetime.now(UTC) if change["disabled"] else None
            values = {key: value for key, value in wanted.items() if value != getattr(user, key)}
            loses_admin = values.get("role", Role.ADMIN) is not Role.ADMIN
            if admins == [user_id] and (loses_admin or values.get("disabled_at")):
                raise ConflictError(
                    "last_admin", "no other admin would be left; make somebody else one first"
                )
            if not values:
                return UserDetails.of(user)
            changed = await users.change(tx, user_id, values)
            if values.keys() & {"password_hash", "role", "disabled_at"}:
                await sessions.end_all(tx, user_id)
            await _record_change(tx, user_id, values)
        return UserDetails.of(changed)

    async def find(self, *, after: Position | None = None, limit: int = 50) -> Page[UserDetails]:
        """List users in the order they were made."""
        async with self._database.transaction() as tx:
            rows = await users.find(tx, after=after, limit=limit + 1)
        return cut(rows, limit, by_creation).showing(UserDetails.of)

    async def create_token(
        self,
        user_id: UUID,
        *,
        name: str,
        expires_at: datetime | None = None,
        scopes: Iterable[TokenScope] = tuple(TokenScope),
    ) -> NewToken:
        """Make a token for a user; only its SHA-256 is kept.

        Args:
            user_id: Whose.
            name: What it is for.
            expires_at: Aware moment; None for never.
            scopes: What it may be used for; at least one.

        Raises:
            InvalidFieldError: A field cannot be taken.
            NotFoundError: There is no such user.
        """
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidFieldError("expires_at", "is past; give a moment to come")
        called = names.clean(name, field="name")
        allowed = [scope.value for scope in _in_order(scopes)]
        if not allowed:
            raise InvalidFieldError("scopes", "is empty; give at least one scope")
        token = _TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        values = {
            "user_id": user_id,
            "name": called,
            "token_hash": digest(token),
            "expires_at": expires_at,
            "scopes": allowed,
        }
        async with self._database.transaction() as tx:
            if await users.get(tx, user_id) is None:
                raise NotFoundError("user", user_id)
            row = await users.add_token(tx, values)
            await audit.record(
                tx,
                "token.create",
                "token",
                [row.id],
                of=str(user_id),
                scopes=" ".join(allowed),
                expires_at=expires_at.isoformat() if expires_at else None,
            )
        return NewToken(token, TokenDetails.of(row))

    async def tokens_of(
        self, user_id: UUID, *, after: Position | None = None, limit: int = 50
    ) -> Page[TokenDetails]:
        """List a user's tokens, revoked and expired ones too, the newest first.

        Raises:
            NotFoundError: There is no such user.
        """
        async with self._database.transaction() as tx:
            if await users.get(tx, user_id) is None:
                raise NotFoundError("user", user_id)
            rows = await users.tokens_of(tx, user_id, after=after, limit=limit + 1)
        return cut(rows, limit, by_creation).showing(TokenDetails.of)

    async def revoke_token(self, user_id: UUID, token_id: UUID) -> None:
        """Make a token useless from now on; once more does no harm.

        Raises:
            NotFoundError: The user has no such token.
        """
        async with self._database.transaction() as tx:
            if not await users.has_token(tx, user_id, token_id):
                raise NotFoundError("token", token_id)
            if await users.revoke_token(tx, token_id):
                await audit.record(tx, "token.revoke", "token", [token_id], of=str(user_id))

    async def authenticate(self, token: str | None) -> Caller:
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
            holder = await users.holder_of(tx, digest(token), stale_after=_NOTE_USE_EVERY)
            if holder is None:
                raise NotSignedInError(token_given=True)
            if holder.is_stale:
                await users.note_use(tx, holder.token.id)
        return Caller(
            UserDetails.of(holder.user),
            _scopes_of(holder.token),
            token_id=holder.token.id,
            expires_at=holder.token.expires_at,
        )


async def _record_change(tx: Transaction, user_id: UUID, values: dict[str, Any]) -> None:
    """Write down what was changed of a user, in words; the role is no secret."""
    if "disabled_at" in values:
        action = "user.disable" if values["disabled_at"] else "user.enable"
        await audit.record(tx, action, "user", [user_id])
    words = {"name": "name", "role": "role", "password_hash": "password"}
    fields = [word for key, word in words.items() if key in values]
    if fields:
        role = {"role": values["role"].value} if "role" in values else {}
        await audit.record(tx, "user.change", "user", [user_id], fields=" ".join(fields), **role)


def _scopes_of(token: ApiToken) -> frozenset[TokenScope]:
    return frozenset(_SCOPES[scope] for scope in token.scopes if scope in _SCOPES)


def _in_order(scopes: Iterable[TokenScope]) -> list[TokenScope]:
    given = set(scopes)
    return [scope for scope in TokenScope if scope in given]


def digest(token: str) -> str:
    """Give the SHA-256 of a token, in hexadecimal."""
    # A token has 256 bits of chance, so a fast hash cannot be guessed back.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def clean_email(raw: str) -> str:
    """Check and normalise an e-mail address.

    Raises:
        InvalidFieldError: It is none.
    """
    text = names.clean(raw, field="email", most=254)
    try:
        return validate_email(
            text, check_deliverability=False, globally_deliverable=False
        ).normalized
    except EmailNotValidError:
        raise InvalidFieldError(
            "email", "is not an e-mail address; write one such as kim@example.com"
        ) from None
