"""One-time links on which people set their password, so that nobody else ever knows it."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.access.limits import AccessRules
from domain.platform.errors import ConflictError, NotFoundError, SegueError
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
    """Give where a link leads on our site.

    The token is in the query, which no log of ours holds; paths are logged.
    """
    return f"{SET_UP_PATH}?token={token}"


class SetUpLinkError(SegueError):
    """A link to set a password is unknown, used, replaced or expired."""

    code = "set_up_link_invalid"

    def __init__(self) -> None:
        super().__init__(
            "this link has expired or was used already; ask your workspace admin for a new one"
        )


@dataclass(frozen=True)
class SetUpLink:
    """A link that was just made.

    Attributes:
        token: What its address carries; the only time it can be seen.
        expires_at: Until when it can be used, UTC.
    """

    token: str
    expires_at: datetime


class SetUpLinks:
    """Makes links and takes the passwords that people set on them.

    A link works once, until it expires, is replaced by another, or its user is disabled.

    Args:
        database: Where they are kept.
        rules: How long they last, and how often one may be tried.
        passwords: Hashes the passwords.
    """

    def __init__(self, database: Database, rules: AccessRules, passwords: Passwords) -> None:
        self._database = database
        self._rules = rules
        self._passwords = passwords

    async def invite(
        self, *, email: str, role: Role, name: str = ""
    ) -> tuple[UserDetails, SetUpLink]:
        """Add a user, with a link for their password.

        Args:
            email: Unique in whatever case.
            role: What they may do.
            name: What colleagues see; empty for the part of the address before the ``@``.

        Raises:
            InvalidFieldError: A field cannot be taken.
            ConflictError: ``email_taken``.
        """
        who = user_fields(email=email, role=role, name=name)
        async with self._database.transaction() as tx:
            user = await add_user(tx, {**who})
            return user, await self._put(tx, user.id)

    async def replace_password(self, user_id: UUID, *, revoke_tokens: bool = False) -> SetUpLink:
        """Make a link for another password; the one there is, and all sessions, end at once.

        Args:
            user_id: Whose.
            revoke_tokens: Whether their tokens end as well.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: ``user_disabled``.
        """
        async with self._database.transaction() as tx:
            user = await users.lock(tx, user_id)
            if user is None:
                raise NotFoundError("user", user_id)
            if user.disabled_at is not None:
                raise ConflictError("user_disabled", "this user is disabled; enable them first")
            if user.password_hash is not None:
                await users.change(tx, user_id, {"password_hash": None})
            await sessions.end_all(tx, user_id)
            if revoke_tokens:
                await revoke_tokens_of(tx, user_id)
            return await self._put(tx, user_id)

    async def expiry_of(self, user_id: UUID) -> datetime | None:
        """Tell until when a user's link can be used; None if they have none."""
        async with self._database.transaction() as tx:
            return await set_up_links.expiry_of(tx, user_id)

    async def user_of(self, token: str, *, address: str | None) -> UserDetails:
        """Tell whose link this is; looking uses nothing up.

        Args:
            token: Of the link's address.
            address: The network address it is opened from, if there is one.

        Raises:
            SetUpLinkError: It cannot be used.
            TooManyRequestsError: Too many links that are none were tried from there.
        """
        async with self._database.transaction() as tx:
            user = await set_up_links.user_of(tx, digest(token))
        if user is not None:
            return UserDetails.of(user)
        # Only guesses count: nobody's guesses keep others from their own links.
        if address is not None:
            most, window = self._rules.sign_ins_per_address, self._rules.sign_in_window
            key = f"set-up:from:{network_of(address)}"
            await rate_limits.take(self._database, key, 1, most, window)
        raise SetUpLinkError

    async def use(
        self, token: str, password: str, *, address: str | None, revoke_tokens: bool = False
    ) -> UserDetails:
        """Set the password of a link's user. The link is used up; their sessions end.

        Args:
            token: Of the link's address.
            password: As typed.
            address: The network address it comes from, if there is one.
            revoke_tokens: Whether their tokens end as well.

        Raises:
            SetUpLinkError: The link cannot be used.
            InvalidFieldError: ``invalid_password``; the link stays.
            TooManyRequestsError: Too many links that are none were tried from there.
        """
        user = await self.user_of(token, address=address)
        hashed = await self._passwords.hash(password, personal=(user.email, user.name))
        async with self._database.transaction() as tx:
            # As whoever makes a link: first the user, then the link, which may be another now.
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
