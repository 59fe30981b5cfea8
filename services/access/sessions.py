"""Signing in at a browser and out again, and who a session belongs to."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from itsdangerous import BadSignature, Signer

from domain.access.devices import device_name, kept_user_agent
from domain.access.limits import AccessRules
from domain.platform.errors import ConflictError, NotFoundError, SegueError
from domain.platform.filling import filled
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.access import TokenScope
from services.access.known_devices import Device, Devices
from services.access.passwords import Passwords
from services.access.refusals import Refusals
from services.access.sign_in_delays import SignInTries, Try
from services.access.users import (
    NOTE_USE_EVERY,
    TOKEN_BYTES,
    Caller,
    NotSignedInError,
    UserDetails,
    clean_email,
    digest,
)
from services.platform import audit
from services.platform.audit import Actor
from services.platform.rate_limits import TooManyRequestsError
from storage.access import sessions, users
from storage.platform.database import Database
from storage.tables.access import SignIn, User

_SIGNED_AS = "session:"
"""Before what is signed: a cookie of another kind, under the same key, is no session."""


class SignInRefusedError(SegueError):
    """Signing in is refused; why is not said, so that nobody learns who has an account."""

    code = "sign_in_refused"

    def __init__(self) -> None:
        super().__init__("the email or password is incorrect")


@dataclass(frozen=True)
class SignedIn:
    """A session that has just begun, and the cookies of its browser; they are kept nowhere."""

    cookie: str
    caller: Caller
    device_cookie: str


@dataclass(frozen=True)
class SessionDetails:
    """A session as its owner sees it.

    Attributes:
        device: Browser and system, as far as they can be told.
        address: The network address it began from; None if unknown.
        last_seen_at: UTC, to the minute.
        expires_at: When it ends, however busy, UTC.
        is_current: Whether it is the caller's own.
    """

    id: UUID
    device: str
    address: str | None
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime
    is_current: bool

    @classmethod
    def of(cls, row: SignIn, caller: Caller) -> "SessionDetails":
        """Show a row to its owner."""
        is_current = row.id == caller.session_id
        return filled(cls, row, device=device_name(row.user_agent), is_current=is_current)


class Sessions:
    """Signs people in and out; ``refusals`` notes who was not let in."""

    def __init__(
        self,
        database: Database,
        rules: AccessRules,
        passwords: Passwords,
        refusals: Refusals | None = None,
    ) -> None:
        self._database = database
        self._rules = rules
        self._passwords = passwords
        self._refusals = refusals or Refusals(database)
        self._tries = SignInTries(database, rules)
        self._devices = Devices(rules.secret)
        # Without a derived key, for sessions begun before itsdangerous signed them.
        self._signer = Signer(rules.secret, key_derivation="none", digest_method=hashlib.sha256)

    async def sign_in(
        self,
        email: str,
        password: str,
        *,
        address: str | None,
        user_agent: str | None = None,
        device_cookie: str | None = None,
    ) -> SignedIn:
        """Begin a session.

        ``address`` is the network address it comes from, ``device_cookie`` that of an earlier
        sign-in from this browser.

        Raises:
            InvalidFieldError: Not an email address.
            TooManyRequestsError: Too soon after wrong tries for that address or from there.
            SignInRefusedError: Unknown, disabled, without a password, or the wrong one.
        """
        wanted = clean_email(email)
        device = self._devices.read(device_cookie)
        async with self._database.transaction() as tx:
            user = await users.by_email(tx, wanted)
            compared = await users.compared(tx, wanted)
        known = device is not None and user is not None and user.id in device.user_ids
        whom = [] if user is None else [user.id]
        try:
            begun = await self._tries.begin(
                compared, address, device.id if device and known else None
            )
        except TooManyRequestsError:
            await self._refusals.note(Actor(address=address), "session.throttle", user_ids=whom)
            raise
        right = await self._passwords.matches(user.password_hash if user else None, password)
        origin = {"address": address, "user_agent": kept_user_agent(user_agent)}
        signed_in = await self._begin(user, begun, device, origin) if user and right else None
        if signed_in is None:
            # What was typed is kept nowhere.
            await self._refusals.note(Actor(address=address), "session.refuse", user_ids=whom)
            raise SignInRefusedError
        return signed_in

    async def authenticate(self, cookie: str, *, in_use: bool = True) -> Caller:
        """Identify the caller by a session's cookie.

        What a page asks by itself (not ``in_use``) keeps no session alive.

        Raises:
            NotSignedInError: The cookie is not ours, or the session is over.
        """
        try:
            token = self._signer.unsign(_SIGNED_AS + cookie).decode().removeprefix(_SIGNED_AS)
        except BadSignature:
            raise NotSignedInError(token_given=True) from None
        idle = self._rules.session_idle
        async with self._database.transaction() as tx:
            holder = await sessions.holder_of(
                tx, digest(token), idle=idle, stale_after=min(NOTE_USE_EVERY, idle / 10)
            )
            if holder is None:
                raise NotSignedInError(token_given=True)
            if holder.is_stale and in_use:
                await sessions.note_use(tx, holder.session_id)
        return _caller(UserDetails.holding(holder), holder.session_id, holder.expires_at)

    async def sign_out(self, caller: Caller) -> None:
        """End the caller's session.

        Raises:
            ConflictError: ``no_session``: they showed an API token.
        """
        if caller.session_id is None:
            raise ConflictError(
                "no_session", "an API token is not a session; revoke it to disable it"
            )
        async with self._database.transaction() as tx:
            await sessions.end(tx, caller.session_id)
            await audit.record(tx, "session.sign_out", "user", [caller.user.id])

    async def of_caller(
        self, caller: Caller, *, after: Position | None = None, limit: int = 50
    ) -> Page[SessionDetails]:
        """List the caller's open sessions, the newest first."""
        async with self._database.transaction() as tx:
            rows = await sessions.of_user(
                tx, caller.user.id, idle=self._rules.session_idle, after=after, limit=limit + 1
            )
        page = cut(rows, limit, by_creation)
        return page.showing(lambda row: SessionDetails.of(row, caller))

    async def end(self, caller: Caller, session_id: UUID) -> None:
        """End a session of the caller's. Repeating it is harmless.

        Raises:
            NotFoundError: They have no such session.
        """
        async with self._database.transaction() as tx:
            if not await sessions.is_of(tx, caller.user.id, session_id):
                raise NotFoundError("session", session_id)
            if await sessions.end(tx, session_id):
                await audit.record(tx, "session.end", "user", [caller.user.id])

    async def end_others(self, caller: Caller) -> int:
        """End every session of the caller's but this one; return how many."""
        async with self._database.transaction() as tx:
            ended = await sessions.end_all(tx, caller.user.id, but=caller.session_id)
            if ended:
                await audit.record(tx, "session.end", "user", [caller.user.id], sessions=len(ended))
        return len(ended)

    async def _begin(
        self, user: User, begun: Try, device: Device | None, origin: Mapping[str, str | None]
    ) -> SignedIn | None:
        """Begin a session; None if the user may have none, or has another password by now."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        async with self._database.transaction() as tx:
            # A password that was changed while this one was checked must not begin a session.
            now = await users.lock(tx, user.id, shared=True)
            if now is None or now.disabled_at or now.password_hash != user.password_hash:
                return None
            values = {"user_id": user.id, "token_hash": digest(token), **origin}
            session = await sessions.add(tx, self._rules.session_lifetime, values)
            await self._tries.end_right(tx, begun)
            await audit.record(tx, "session.sign_in", "user", [user.id], user_id=user.id)
            return SignedIn(
                self._signer.sign(_SIGNED_AS + token).decode().removeprefix(_SIGNED_AS),
                _caller(UserDetails.of(now), session.id, session.expires_at),
                self._devices.write(device, user.id),
            )


def _caller(user: UserDetails, session_id: UUID, expires_at: datetime | None) -> Caller:
    return Caller(user, frozenset(TokenScope), session_id=session_id, expires_at=expires_at)
