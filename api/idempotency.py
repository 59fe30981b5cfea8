"""``Idempotency-Key``: a POST that is sent again is answered again, not done again.

As in draft-ietf-httpapi-idempotency-key-header-07, except that a body's JSON counts byte by byte.
"""

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from api.dependencies import CurrentUser, ServicesDep, SettingsDep
from domain.platform.errors import InvalidFieldError, SegueError
from services.platform.idempotency import Claim, Idempotency, StoredAnswer
from storage.platform.database import Transaction, is_unavailable

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"

_logger = logging.getLogger(__name__)
_KEY = re.compile(r"[\x20-\x7e]{1,255}")

_KeyHeader = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description=(
            "1 to 255 printable ASCII characters, fresh for each new request. The same request"
            " under the same key is answered as the first time, for 24 hours."
        ),
    ),
]


@dataclass(frozen=True)
class Once:
    """Does a request once per key; without a key, every time.

    Attributes:
        idempotency: Remembers.
        user_id: Who calls.
        key: As sent; None if none was.
        route: Method and path.
        request_hash: Of the body.
    """

    idempotency: Idempotency
    user_id: UUID
    key: str | None
    route: str
    request_hash: str

    async def answer(
        self,
        work: Callable[[], Awaitable[BaseModel]],
        *,
        status_code: int | Callable[[], int] = 201,
        repeatable: bool = False,
    ) -> JSONResponse:
        """Do the work and answer with what it gives, or answer as the first time.

        An error that the product raises on purpose means that nothing was done: the key is free
        again. Any other leaves the key claimed, unless the work is repeatable.

        Args:
            work: Called at most once; its answer must hold no secret, for it is stored.
            status_code: Of the answer; or tells it, once the work is done.
            repeatable: Whether doing the work a second time does no harm; see
                ``Idempotency.begin``.

        Raises:
            ConflictError: ``idempotency_key_reused`` or ``request_in_progress``.
        """

        async def run(claim: Claim | None) -> JSONResponse:
            body = (await work()).model_dump(mode="json")
            status = status_code if isinstance(status_code, int) else status_code()
            if claim is not None:
                await self._quietly(self.idempotency.finish(claim, status, body))
            return JSONResponse(body, status)

        return await self._answer(run, repeatable=repeatable)

    async def answer_within(
        self, work: Callable[[Transaction], Awaitable[BaseModel]], *, status_code: int
    ) -> JSONResponse:
        """Do the work in one transaction with storing its answer, and answer as ``answer`` does.

        For work that does harm if done twice: a request whose process died is answered if its work
        was committed, and done if it was not.

        Args:
            work: Called at most once.
            status_code: Of the answer.

        Raises:
            ConflictError: As ``answer``.
        """

        async def run(claim: Claim | None) -> JSONResponse:
            async with self.idempotency.transaction() as tx:
                body = (await work(tx)).model_dump(mode="json")
                if claim is not None:
                    await self.idempotency.finish_in(tx, claim, status_code, body)
            return JSONResponse(body, status_code)

        return await self._answer(run, repeatable=True)

    async def _answer(
        self, run: Callable[[Claim | None], Awaitable[JSONResponse]], *, repeatable: bool
    ) -> JSONResponse:
        if self.key is None:
            return await run(None)
        begun = await self.idempotency.begin(
            user_id=self.user_id,
            key=self.key,
            route=self.route,
            request_hash=self.request_hash,
            repeatable=repeatable,
        )
        if isinstance(begun, StoredAnswer):
            return JSONResponse(begun.answer, begun.status_code, {REPLAYED_HEADER: "true"})
        try:
            return await run(begun)
        except Exception as error:
            if repeatable or isinstance(error, SegueError):
                await self._quietly(self.idempotency.give_up(begun))
            raise

    async def answer_with_secret(
        self, field: str, work: Callable[[], Awaitable[BaseModel]], *, status_code: int = 201
    ) -> JSONResponse:
        """Do as ``answer``, but keep a field of the answer to oneself: repeated, it is null.

        Args:
            field: Holds the secret; the answer's schema allows null there.
            work: Called at most once.
            status_code: Of the answer.

        Raises:
            ConflictError: As ``answer``.
        """
        secret: str | None = None

        async def without_secret() -> BaseModel:
            nonlocal secret
            made = await work()
            secret = getattr(made, field)
            return made.model_copy(update={field: None})

        answer = await self.answer(without_secret, status_code=status_code)
        answer.headers["Cache-Control"] = "no-store"
        if secret is None:
            return answer
        body = {**json.loads(bytes(answer.body)), field: secret}
        return JSONResponse(body, status_code, {"Cache-Control": "no-store"})

    @staticmethod
    async def _quietly(storing: Awaitable[None]) -> None:
        """Not let the answer be lost because it could not be stored."""
        try:
            await storing
        except Exception as error:
            if not is_unavailable(error):
                raise
            _logger.warning("an idempotency key could not be settled: the database is away")


async def _streamed_once(
    request: Request, services: ServicesDep, user: CurrentUser, key: _KeyHeader = None
) -> Once:
    if key is not None and not _KEY.fullmatch(key):
        raise InvalidFieldError(
            HEADER,
            "must be 1 to 255 printable ASCII characters",
            code="invalid_idempotency_key",
        )
    return Once(
        idempotency=services.idempotency,
        user_id=user.id,
        key=key,
        route=f"{request.method} {request.url.path}?{request.url.query}",
        request_hash="",
    )


StreamedOnceDep = Annotated[Once, Depends(_streamed_once)]
"""For a POST that reads its body piece by piece, and sets ``request_hash`` afterwards."""


async def _once(request: Request, once: StreamedOnceDep, settings: SettingsDep) -> Once:
    # Keyed, as a body may hold a password: a plain hash of it could be guessed at.
    key = settings.session_secret.get_secret_value().encode()
    return replace(once, request_hash=hmac.digest(key, await request.body(), "sha256").hex())


OnceDep = Annotated[Once, Depends(_once)]
"""For a POST: ``return await once.answer(work)``, with ``work`` giving the answer's schema."""
