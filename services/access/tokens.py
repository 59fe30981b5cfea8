"""API tokens: making, listing and revoking them."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Required, TypedDict
from uuid import UUID

from domain.access.limits import TOKEN_LIFETIME
from domain.platform import names
from domain.platform.errors import InvalidFieldError, required
from domain.platform.filling import filled
from domain.platform.moments import written
from domain.platform.paging import Page, Position, by_creation, cut
from domain.statuses.access import TokenScope
from services.access.own_password import OwnPassword
from services.access.users import (
    TOKEN_BYTES,
    TOKEN_PREFIX,
    Caller,
    NotSignedInError,
    digest,
    scopes_of,
)
from services.platform import audit
from storage.access import sessions, tokens, users
from storage.platform.database import Database, Transaction
from storage.tables.access import ApiToken

_LEAST = (TokenScope.READ,)


@dataclass(frozen=True)
class TokenDetails:
    """A token as shown to users, without its secret; ``expires_at`` None for never."""

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
        return filled(cls, token, scopes=_in_order(scopes_of(token)))


@dataclass(frozen=True)
class NewToken:
    """A token that was just made; ``token`` itself is kept nowhere."""

    token: str
    details: TokenDetails


class TokenFields(TypedDict, total=False):
    """What a token is to be.

    Left out, ``scopes`` is reading alone and ``expires_at`` is ``TOKEN_LIFETIME`` from now, or the
    end of the caller's own token; None is never.
    """

    name: Required[str]
    scopes: Iterable[TokenScope]
    expires_at: datetime | None


@dataclass(frozen=True)
class _Checked:
    """The fields of a token, each valid by itself."""

    name: str
    scopes: list[TokenScope]
    expires_at: datetime | None

    @classmethod
    def of(cls, name: str, scopes: Iterable[TokenScope], expires_at: datetime | None) -> "_Checked":
        """Check and normalize the fields.

        Raises:
            InvalidFieldError: One cannot be taken.
        """
        if expires_at is not None and expires_at <= datetime.now(UTC):
            raise InvalidFieldError("expires_at", "is in the past; choose a later time")
        ordered = _in_order(scopes)
        if not ordered:
            raise InvalidFieldError("scopes", "is empty; choose at least one")
        return cls(names.clean(name, field="name"), ordered, expires_at)


class Tokens:
    """Makes, lists and revokes tokens.

    Methods that take a user's id raise ``NotFoundError`` if there is no such user.
    """

    def __init__(self, database: Database, own_password: OwnPassword) -> None:
        self._database = database
        self._own_password = own_password

    async def grant(
        self, caller: Caller, user_id: UUID, wanted: TokenFields, *, password: str = ""
    ) -> NewToken:
        """Make a token for a user as a caller may.

        A caller at a browser confirms it with their password. One with a token gets a token that
        can do no more than theirs, and expires no later.

        Raises:
            InvalidFieldError: A field cannot be taken: ``wrong_password``, ``exceeds_token``.
            NotSignedInError: The caller's session or token ended meanwhile.
            TooManyRequestsError: The password was guessed at too often.
        """
        fields = _Checked.of(
            wanted["name"],
            wanted.get("scopes", _LEAST),
            wanted["expires_at"] if "expires_at" in wanted else _default_expiry(caller),
        )
        if caller.token_id is None:
            await self._own_password.confirm(caller.user.id, password)
        else:
            _require_within(caller, fields)
        return await self._insert(user_id, fields, caller)

    async def create(
        self, user_id: UUID, *, name: str, scopes: Iterable[TokenScope], expires_at: datetime | None
    ) -> NewToken:
        """Make a token from the command line; ``expires_at`` None for never.

        Raises:
            InvalidFieldError: A field cannot be taken.
        """
        return await self._insert(user_id, _Checked.of(name, scopes, expires_at), None)

    async def of_user(
        self, user_id: UUID, *, after: Position | None = None, limit: int = 50
    ) -> Page[TokenDetails]:
        """List a user's tokens that are not revoked, expired ones too, the newest first."""
        async with self._database.transaction() as tx:
            required(await users.get(tx, user_id), "user", user_id)
            rows = await tokens.of_user(tx, user_id, after=after, limit=limit + 1)
        return cut(rows, limit, by_creation).showing(TokenDetails.of)

    async def get(self, user_id: UUID, token_id: UUID) -> TokenDetails:
        """Return a token, a revoked one too.

        Raises:
            NotFoundError: The user has no such token.
        """
        async with self._database.transaction() as tx:
            return TokenDetails.of(
                required(await tokens.get(tx, user_id, token_id), "token", token_id)
            )

    async def revoke(self, user_id: UUID, token_id: UUID) -> None:
        """Revoke a token. Repeating it is harmless.

        Raises:
            NotFoundError: The user has no such token.
        """
        async with self._database.transaction() as tx:
            required(await tokens.get(tx, user_id, token_id), "token", token_id)
            if await tokens.revoke(tx, token_id):
                await audit.record(tx, "token.revoke", "token", [token_id], of=str(user_id))

    async def _insert(self, user_id: UUID, fields: _Checked, caller: Caller | None) -> NewToken:
        token = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
        scopes = [scope.value for scope in fields.scopes]
        expires_at = fields.expires_at
        values = {
            "user_id": user_id,
            "name": fields.name,
            "token_hash": digest(token),
            "expires_at": expires_at,
            "scopes": scopes,
        }
        async with self._database.transaction() as tx:
            # Revoking all of a user's tokens locks the user first: it revokes this one too, or
            # we see here that the caller's own was revoked.
            required(await users.lock(tx, user_id, shared=True), "user", user_id)
            if caller is not None and not await _still_holds(tx, caller):
                raise NotSignedInError(token_given=True)
            row = await tokens.add(tx, values)
            await audit.record(
                tx,
                "token.create",
                "token",
                [row.id],
                of=str(user_id),
                scopes=" ".join(scopes),
                expires_at=written(expires_at) if expires_at else None,
            )
        return NewToken(token, TokenDetails.of(row))


def _default_expiry(caller: Caller) -> datetime:
    usual = datetime.now(UTC) + TOKEN_LIFETIME
    if caller.token_id is None or caller.expires_at is None:
        return usual
    return min(usual, caller.expires_at)


def _require_within(caller: Caller, fields: _Checked) -> None:
    """Refuse a token that could do more than the caller's, or for longer."""
    if not caller.scopes.issuperset(fields.scopes):
        held = ", ".join(_in_order(caller.scopes))
        raise InvalidFieldError(
            "scopes", f"goes beyond the token you use; choose only {held}", code="exceeds_token"
        )
    until = caller.expires_at
    if until is not None and (fields.expires_at is None or fields.expires_at > until):
        raise InvalidFieldError(
            "expires_at",
            f"goes beyond the token you use; give {written(until)} or an earlier moment",
            code="exceeds_token",
        )


async def _still_holds(tx: Transaction, caller: Caller) -> bool:
    """Keep the caller's token or session valid until the transaction ends; False if it is not."""
    if caller.token_id is not None:
        return await tokens.lock_valid(tx, caller.token_id)
    return caller.session_id is not None and await sessions.lock_open(tx, caller.session_id)


def _in_order(scopes: Iterable[TokenScope]) -> list[TokenScope]:
    given = set(scopes)
    return [scope for scope in TokenScope if scope in given]
