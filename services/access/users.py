"""Who may use Segue, and who a caller is."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from domain.platform import names
from domain.platform.errors import ConflictError, InvalidFieldError, SegueError, required
from domain.platform.filling import filled
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.access import Role, TokenScope
from services.access.passwords import Passwords
from services.platform import audit
from storage.access import sessions, set_up_links, tokens, users
from storage.access.tokens import TokenHolder
from storage.access.users import Holder
from storage.platform.database import Database, Transaction
from storage.tables.access import ApiToken, User

TOKEN_PREFIX = "sgt_"  # noqa: S105 - marks our tokens for secret scanners
TOKEN_BYTES = 32
"""Random bytes in a token, a session's or an API's: 43 URL-safe characters."""

EMAIL_LENGTH = 254
"""Most characters of an email address (RFC 3696, erratum 1690)."""

_TOKEN_LENGTH = len(TOKEN_PREFIX) + 43
NOTE_USE_EVERY = timedelta(minutes=1)
"""Between two notes of when a session or a token was last used."""
_SCOPES = {scope.value: scope for scope in TokenScope}


class NotSignedInError(SegueError):
    """The caller shows no token or session, or one that is not valid."""

    code = "unauthorized"

    def __init__(self, *, token_given: bool) -> None:
        super().__init__(
            "the token or session is unknown, expired or ended"
            if token_given
            else "a token is needed; send it as Authorization: Bearer <token>, or sign in"
        )
        self.token_given = token_given


class ForbiddenError(SegueError):
    """The caller's role does not allow this; ``needed`` is the least that does."""

    code = "forbidden"

    def __init__(self, needed: Role) -> None:
        super().__init__(f"this requires the role {needed.value}; ask an admin")
        self.needed = needed


class MissingScopeError(SegueError):
    """The caller's token lacks the scope ``needed``."""

    code = "missing_scope"

    def __init__(self, needed: TokenScope) -> None:
        super().__init__(f"this requires a token with the scope {needed.value}; use another one")
        self.needed = needed


@dataclass(frozen=True)
class UserDetails:
    """A user as shown to users; since ``disabled_at`` they can do nothing."""

    id: UUID
    email: str
    name: str
    role: Role
    created_at: datetime
    disabled_at: datetime | None

    @classmethod
    def of(cls, user: User) -> "UserDetails":
        """Read a row."""
        return filled(cls, user)

    @classmethod
    def holding(cls, holder: Holder) -> "UserDetails":
        """Read the user of a session or token that is valid."""
        return filled(cls, holder, id=holder.user_id, disabled_at=None)


@dataclass(frozen=True)
class Caller:
    """Who calls, by token or session.

    Attributes:
        scopes: What they may do, as far as their role lets them; all in a session.
        token_id: None in a session.
        session_id: None with a token.
        expires_at: Of the token or session, UTC; None for never.
    """

    user: UserDetails
    scopes: frozenset[TokenScope]
    token_id: UUID | None = None
    session_id: UUID | None = None
    expires_at: datetime | None = None


class UserChange(TypedDict, total=False):
    """What to change of a user; what is left out stays."""

    name: str
    role: Role
    disabled: bool


class Users:
    """Makes and changes users, and authenticates API tokens.

    Methods that take a user's id raise ``NotFoundError`` if there is no such user.
    """

    def __init__(self, database: Database, passwords: Passwords | None = None) -> None:
        self._database = database
        self._passwords = passwords or Passwords()

    async def create(
        self, *, email: str, role: Role, name: str = "", password: str | None = None
    ) -> UserDetails:
        """Add a user; without a password they can only use tokens.

        Raises:
            InvalidFieldError: A field cannot be taken.
            ConflictError: ``email_taken``.
        """
        who = user_fields(email=email, role=role, name=name)
        hashed = None
        if password is not None:
            hashed = await self._passwords.hash(password, personal=(who["email"], who["name"]))
        async with self._database.transaction() as tx:
            return await add_user(tx, {**who, "password_hash": hashed})

    async def by_email(self, email: str) -> UserDetails | None:
        """Read the user with an email address, in whatever case; None if there is none."""
        async with self._database.transaction() as tx:
            user = await users.by_email(tx, email)
        return None if user is None else UserDetails.of(user)

    async def get(self, user_id: UUID) -> UserDetails:
        """Read one user."""
        async with self._database.transaction() as tx:
            return UserDetails.of(required(await users.get(tx, user_id), "user", user_id))

    async def change(self, user_id: UUID, change: UserChange) -> UserDetails:
        """Change a user. A new role, or disabling them, ends their sessions.

        Raises:
            InvalidFieldError: A field cannot be taken.
            ConflictError: ``last_admin``: nobody could manage users any more.
        """
        wanted: dict[str, Any] = {}
        if "name" in change:
            wanted["name"] = names.clean(change["name"], field="name")
        if "role" in change:
            wanted["role"] = change["role"]
        async with self._database.transaction() as tx:
            admins = await users.lock_admins(tx)
            user = required(await users.lock(tx, user_id), "user", user_id)
            if "disabled" in change and change["disabled"] != (user.disabled_at is not None):
                wanted["disabled_at"] = datetime.now(UTC) if change["disabled"] else None
            values = {key: value for key, value in wanted.items() if value != getattr(user, key)}
            loses_admin = values.get("role", Role.ADMIN) is not Role.ADMIN
            if admins == [user_id] and (loses_admin or values.get("disabled_at")):
                raise ConflictError(
                    "last_admin", "this is the last admin; make someone else an admin first"
                )
            if not values:
                return UserDetails.of(user)
            changed = await users.change(tx, user_id, values)
            if values.keys() & {"role", "disabled_at"}:
                await sessions.end_all(tx, user_id)
            if values.get("disabled_at"):
                await set_up_links.remove(tx, user_id)
            await _record_change(tx, user_id, values)
        return UserDetails.of(changed)

    async def find(self, *, after: Position | None = None, limit: int = 50) -> Page[UserDetails]:
        """List users in the order they were made."""
        async with self._database.transaction() as tx:
            rows = await users.find(tx, after=after, limit=limit + 1)
        return cut(rows, limit, by_creation).showing(UserDetails.of)

    async def names_of(self, user_ids: Collection[UUID]) -> dict[UUID, str]:
        """Give the names of users, disabled ones too, by id."""
        async with self._database.transaction() as tx:
            return await users.names_of(tx, user_ids)

    async def authenticate(self, token: str | None) -> Caller:
        """Identify the caller by an API token.

        Raises:
            NotSignedInError: It is missing, unknown, expired or revoked, or its user is disabled.
        """
        if token is None:
            raise NotSignedInError(token_given=False)
        if len(token) != _TOKEN_LENGTH or not token.startswith(TOKEN_PREFIX):
            raise NotSignedInError(token_given=True)
        async with self._database.transaction() as tx:
            holder = await tokens.holder_of(tx, digest(token), stale_after=NOTE_USE_EVERY)
            if holder is None:
                raise NotSignedInError(token_given=True)
            if holder.is_stale:
                await tokens.note_use(tx, holder.token_id)
        return Caller(
            UserDetails.holding(holder),
            scopes_of(holder),
            token_id=holder.token_id,
            expires_at=holder.expires_at,
        )


async def _record_change(tx: Transaction, user_id: UUID, values: dict[str, Any]) -> None:
    """Audit what was changed of a user; the role is no secret."""
    if "disabled_at" in values:
        action = "user.disable" if values["disabled_at"] else "user.enable"
        await audit.record(tx, action, "user", [user_id])
    fields = [name for name in ("name", "role") if name in values]
    if fields:
        role = {"role": values["role"].value} if "role" in values else {}
        await audit.record(tx, "user.change", "user", [user_id], fields=" ".join(fields), **role)


class _UserFields(TypedDict):
    email: str
    name: str
    role: Role


def user_fields(*, email: str, role: Role, name: str) -> _UserFields:
    """Check and normalize a new user's fields; the name defaults to the local part of the address.

    Raises:
        InvalidFieldError: A field cannot be taken.
    """
    address = clean_email(email)
    shown = names.clean(name, field="name", blank=True) or address.partition("@")[0]
    return {"email": address, "name": shown, "role": role}


async def add_user(tx: Transaction, values: Mapping[str, Any]) -> UserDetails:
    """Insert a user.

    Raises:
        ConflictError: ``email_taken``.
    """
    user = await users.add(tx, values)
    if user is None:
        raise ConflictError("email_taken", "another user has this email address")
    await audit.record(tx, "user.create", "user", [user.id], role=user.role.value)
    return UserDetails.of(user)


async def revoke_tokens_of(tx: Transaction, user_id: UUID) -> None:
    """Revoke every token of a user."""
    revoked = await tokens.revoke_all(tx, user_id)
    if revoked:
        await audit.record(tx, "token.revoke", "token", revoked, of=str(user_id))


def scopes_of(token: ApiToken | TokenHolder) -> frozenset[TokenScope]:
    """Read a token's scopes, without those this release does not know."""
    return frozenset(_SCOPES[scope] for scope in token.scopes if scope in _SCOPES)


def digest(token: str) -> str:
    """Hash a token for looking it up: SHA-256, hexadecimal."""
    # Random tokens of 256 bits cannot be guessed from a fast hash.
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def clean_email(raw: str) -> str:
    """Check and normalize an email address.

    Raises:
        InvalidFieldError: Not an email address.
    """
    text = names.clean(raw, field="email", most=EMAIL_LENGTH)
    try:
        return validate_email(
            text, check_deliverability=False, globally_deliverable=False
        ).normalized
    except EmailNotValidError:
        raise InvalidFieldError(
            "email", "is not a valid email address; enter one such as kim@example.com"
        ) from None
