"""``Idempotency-Key``: a repeated POST gets the first answer and does nothing.

As in draft-ietf-httpapi-idempotency-key-header-07, except that a body's JSON counts byte by byte.
"""

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Annotated, TypeVar
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
_Answer = TypeVar("_Answer", bound=BaseModel)
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
    """Does a request once per key; without a key, every time."""

    idempotency: Idempotency
    user_id: UUID
    key: str | None
    route: str
    request_hash: str

    async def answer(
        self,
        schema: type[BaseModel],
        work: Callable[[], Awaitable[object]],
        *,
        status_code: int | Callable[[], int] = 201,
        repeatable: bool = False,
    ) -> JSONResponse:
        """Do the work and answer with its result, or give the first answer again.

        A ``SegueError`` means that nothing was done and frees the key. Any other error leaves the
        key claimed, unless the work is repeatable.

        Args:
            schema: Of the answer; must hold no secret, as the answer is stored.
            work: Called at most once; the schema validates its result.
            status_code: Of the answer; or tells it, once the work is done.
            repeatable: Whether doing the work a second time does no harm; see
                ``Idempotency.begin``.

        Raises:
            ConflictError: ``idempotency_key_reused`` or ``request_in_progress``.
        """

        async def run(claim: Claim | None) -> JSONResponse:
            body = schema.model_validate(await work()).model_dump(mode="json")
            status = status_code if isinstance(status_code, int) else status_code()
            if claim is not None:
                await self._quietly(self.idempotency.finish(claim, status, body))
            return JSONResponse(body, status)

        return await self._answer(run, repeatable=repeatable)

    async def answer_within(
        self,
        schema: type[BaseModel],
        work: Callable[[Transaction], Awaitable[object]],
        *,
        status_code: int,
    ) -> JSONResponse:
        """Do the work and store its answer in one transaction; else as ``answer``.

        For work that does harm if done twice. If a process dies, the repeated request is answered
        if the work was committed, and done if it was not.
        """

        async def run(claim: Claim | None) -> JSONResponse:
            async with self.idempotency.transaction() as tx:
                body = schema.model_validate(await work(tx)).model_dump(mode="json")
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
        self,
        schema: type[_Answer],
        field: str,
        work: Callable[[], Awaitable[_Answer]],
        *,
        status_code: int = 201,
    ) -> JSONResponse:
        """Do as ``answer``, but do not store the secret in ``field``: repeated, it is null."""
        secret: str | None = None

        async def without_secret() -> _Answer:
            nonlocal secret
            made = await work()
            secret = getattr(made, field)
            return made.model_copy(update={field: None})

        answer = await self.answer(schema, without_secret, status_code=status_code)
        answer.headers["Cache-Control"] = "no-store"
        if secret is None:
            return answer
        body = {**json.loads(bytes(answer.body)), field: secret}
        return JSONResponse(body, status_code, {"Cache-Control": "no-store"})

    @staticmethod
    async def _quietly(storing: Awaitable[None]) -> None:
        """Answer even if the answer cannot be stored."""
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
"""For a POST that streams its body and sets ``request_hash`` afterwards."""


async def _once(request: Request, once: StreamedOnceDep, settings: SettingsDep) -> Once:
    # Keyed, because a plain hash of a body that holds a password could be guessed.
    key = settings.session_secret.get_secret_value().encode()
    return replace(once, request_hash=hmac.digest(key, await request.body(), "sha256").hex())


OnceDep = Annotated[Once, Depends(_once)]
"""For a POST: ``return await once.answer(schema, work)``."""
