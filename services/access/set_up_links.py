"""One-time links on which people set their password, so that nobody else knows it."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.access.limits import AccessRules
from domain.platform.errors import ConflictError, SegueError, required
from domain.statuses.access import Role
from services.access.passwords import Passwords
from services.access.sign_in_delays import network_of
from services.access.users import (
    TOKEN_BYTES,
    UserDetails,
    add_user,
    digest,
    revoke_tokens_of,
    user_fields,
)
from services.platform import audit, rate_limits
from storage.access import sessions, set_up_links, users
from storage.platform.database import Database, Transaction

SET_UP_PATH = "/set-up"


def set_up_path(token: str) -> str:
    """Write a link's address on our site: the token in the query, as only paths are logged."""
    return f"{SET_UP_PATH}?token={token}"


class SetUpLinkError(SegueError):
    """A link to set a password is unknown, used, replaced or expired."""

    code = "set_up_link_invalid"

    def __init__(self) -> None:
        super().__init__(
            "this link has expired or was already used; ask your workspace admin for a new one"
        )


@dataclass(frozen=True)
class SetUpLink:
    """A link that was just made; its token is kept nowhere."""

    token: str
    expires_at: datetime


class SetUpLinks:
    """Makes links and takes the passwords that people set on them.

    A link works once, until it expires, is replaced by another, or its user is disabled. Methods
    that take a user's id raise ``NotFoundError`` if there is no such user.
    """

    def __init__(self, database: Database, rules: AccessRules, passwords: Passwords) -> None:
        self._database = database
        self._rules = rules
        self._passwords = passwords

    async def invite(
        self, *, email: str, role: Role, name: str = ""
    ) -> tuple[UserDetails, SetUpLink]:
        """Add a user, with a link for their password.

        Raises:
            InvalidFieldError: A field cannot be taken.
            ConflictError: ``email_taken``.
        """
        who = user_fields(email=email, role=role, name=name)
        async with self._database.transaction() as tx:
            user = await add_user(tx, {**who})
            return user, await self._put(tx, user.id)

    async def replace_password(self, user_id: UUID, *, revoke_tokens: bool = False) -> SetUpLink:
        """Make a link for a new password; ends the present one and all sessions at once.

        Raises:
            ConflictError: ``user_disabled``.
        """
        async with self._database.transaction() as tx:
            user = required(await users.lock(tx, user_id), "user", user_id)
            if user.disabled_at is not None:
                raise ConflictError("user_disabled", "this user is disabled; enable them first")
            if user.password_hash is not None:
                await users.change(tx, user_id, {"password_hash": None})
            await sessions.end_all(tx, user_id)
            if revoke_tokens:
                await revoke_tokens_of(tx, user_id)
            return await self._put(tx, user_id)

    async def expiry_of(self, user_id: UUID) -> datetime | None:
        """Read when a user's link expires; None if they have none."""
        async with self._database.transaction() as tx:
            return await set_up_links.expiry_of(tx, user_id)

    async def user_of(self, token: str, *, address: str | None) -> UserDetails:
        """Read whose link this is, without using it up.

        Raises:
            SetUpLinkError: It cannot be used.
            TooManyRequestsError: Too many wrong links were tried from this network address.
        """
        async with self._database.transaction() as tx:
            user = await set_up_links.user_of(tx, digest(token))
        if user is not None:
            return UserDetails.of(user)
        # Only wrong ones count, so that guesses keep nobody from their own link.
        if address is not None:
            most, window = self._rules.sign_ins_per_address, self._rules.sign_in_window
            key = f"set-up:from:{network_of(address)}"
            await rate_limits.take(self._database, key, 1, most, window)
        raise SetUpLinkError

    async def use(
        self, token: str, password: str, *, address: str | None, revoke_tokens: bool = False
    ) -> UserDetails:
        """Set the password of a link's user, which uses the link up and ends their sessions.

        Raises:
            SetUpLinkError: The link cannot be used.
            InvalidFieldError: ``invalid_password``; the link stays usable.
            TooManyRequestsError: As ``user_of``.
        """
        user = await self.user_of(token, address=address)
        hashed = await self._passwords.hash(password, personal=(user.email, user.name))
        async with self._database.transaction() as tx:
            # Lock the user first, as making a link does; the link may be another by now.
            await users.lock(tx, user.id)
            if await set_up_links.user_of(tx, digest(token)) is None:
                raise SetUpLinkError
            await set_up_links.remove(tx, user.id)
            await users.change(tx, user.id, {"password_hash": hashed})
            await sessions.end_all(tx, user.id)
            if revoke_tokens:
                await revoke_tokens_of(tx, user.id)
            await audit.record(tx, "user.set_password", "user", [user.id], user_id=user.id)
        return user

    async def _put(self, tx: Transaction, user_id: UUID) -> SetUpLink:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        lifetime = self._rules.set_up_link_lifetime
        expires_at = await set_up_links.put(tx, user_id, digest(token), lifetime)
        await audit.record(tx, "user.make_link", "user", [user_id])
        return SetUpLink(token, expires_at)
