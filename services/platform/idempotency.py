"""Idempotency keys: a repeated request gets the stored answer and does nothing."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from domain.platform.errors import ConflictError
from storage.platform import idempotency
from storage.platform.database import Database, Transaction

KEPT_FOR = timedelta(hours=24)
"""How long a key is remembered."""

ABANDONED_AFTER = timedelta(minutes=1)
"""A request without an answer for this long is assumed to have died with its process."""


@dataclass(frozen=True)
class Claim:
    """The right to do a request, once; ``reserved_at`` tells it from a later claim of the key."""

    user_id: UUID
    key: str
    reserved_at: datetime


@dataclass(frozen=True)
class StoredAnswer:
    """The first answer to a request: HTTP status and JSON body."""

    status_code: int
    answer: Mapping[str, Any]


class Idempotency:
    """Remembers keys and answers in PostgreSQL, for all processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction for work that ends with ``finish_in``."""
        return self._database.transaction()

    async def begin(
        self, *, user_id: UUID, key: str, route: str, request_hash: str, repeatable: bool
    ) -> Claim | StoredAnswer:
        """Claim a key for a route (method and path) and body, or read the answer stored under it.

        A ``repeatable`` request does no harm if done twice: a claim without an answer can be taken
        over after a minute. Else the key stays claimed for 24 hours.

        Raises:
            ConflictError: ``idempotency_key_reused``: the key came with another request.
                ``request_in_progress``: the first has no answer yet.
        """
        async with self._database.transaction() as tx:
            reserved_at = await idempotency.reserve(
                tx,
                user_id=user_id,
                key=key,
                route=route,
                request_hash=request_hash,
                kept_for=KEPT_FOR,
                abandoned_after=ABANDONED_AFTER if repeatable else None,
            )
            if reserved_at is not None:
                return Claim(user_id, key, reserved_at)
            known = await idempotency.get(tx, user_id, key)
        if known is not None and (known.route, known.request_hash) != (route, request_hash):
            raise ConflictError(
                "idempotency_key_reused",
                "this Idempotency-Key came with another request; use a new key for a new request",
            )
        if known is None or known.status_code is None:
            raise _in_progress()
        return StoredAnswer(known.status_code, known.answer or {})

    async def finish(self, claim: Claim, status_code: int, answer: Mapping[str, Any]) -> None:
        """Store the answer."""
        async with self._database.transaction() as tx:
            await idempotency.keep_answer(
                tx, claim.user_id, claim.key, claim.reserved_at, status_code, answer
            )

    async def finish_in(
        self, tx: Transaction, claim: Claim, status_code: int, answer: Mapping[str, Any]
    ) -> None:
        """Store the answer in the transaction of the work, so that both are committed or neither.

        Raises:
            ConflictError: ``request_in_progress``: the claim was taken over meanwhile.
        """
        kept = await idempotency.keep_answer(
            tx, claim.user_id, claim.key, claim.reserved_at, status_code, answer
        )
        if not kept:
            raise _in_progress()

    async def give_up(self, claim: Claim) -> None:
        """Free the key of a request that did nothing."""
        async with self._database.transaction() as tx:
            await idempotency.release(tx, claim.user_id, claim.key, claim.reserved_at)


def _in_progress() -> ConflictError:
    return ConflictError(
        "request_in_progress",
        "the request with this Idempotency-Key has no answer yet; ask again shortly, and"
        " if that does not help, see what it did and use a new key",
    )
