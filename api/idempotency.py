"""``Idempotency-Key``: a repeated POST gets the first answer and does nothing.

As in draft-ietf-httpapi-idempotency-key-header-07, except that a body's JSON counts byte by byte.
"""

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter

from api.dependencies import CurrentUser, ServicesDep, SettingsDep
from domain.platform.errors import InvalidFieldError, SegueError
from services.platform.idempotency import Claim, Idempotency, StoredAnswer
from storage.platform.database import Transaction, is_unavailable

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"

_logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer", bound=BaseModel)
_adapter = cache(TypeAdapter)
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

    Answers have the status and the model that the route declares. ``asked`` is the method, path and
    query, by which a key is told from its use for another request.
    """

    idempotency: Idempotency
    route: APIRoute
    user_id: UUID
    key: str | None
    asked: str
    request_hash: str

    async def answer(
        self,
        work: Callable[[], Awaitable[object]],
        *,
        status_code: Callable[[], int] | None = None,
        repeatable: bool = False,
    ) -> JSONResponse:
        """Do the work and answer with its result, or give the first answer again.

        A ``SegueError`` means that nothing was done and frees the key. Any other error leaves the
        key claimed, unless the work is repeatable.

        Args:
            work: Called at most once; its result must hold no secret, as the answer is stored.
            status_code: Says, once the work is done, which status to give instead of the route's.
            repeatable: Whether doing the work a second time does no harm; see
                ``Idempotency.begin``.

        Raises:
            ConflictError: ``idempotency_key_reused`` or ``request_in_progress``.
        """

        async def run(claim: Claim | None) -> JSONResponse:
            body = self._body(await work())
            status = status_code() if status_code else self._status
            if claim is not None:
                await self._quietly(self.idempotency.finish(claim, status, body))
            return JSONResponse(body, status)

        return await self._answer(run, repeatable=repeatable)

    async def answer_within(
        self,
        work: Callable[[Transaction], Awaitable[object]],
        *,
        status: int | None = None,
        model: type[BaseModel] | None = None,
    ) -> JSONResponse:
        """Do the work and store its answer in one transaction; else as ``answer``.

        For work that does harm if done twice. If a process dies, the repeated request is answered
        if the work was committed, and done if it was not. ``status`` and ``model`` are the
        answer's, where they are not the route's.
        """
        status = status or self._status

        async def run(claim: Claim | None) -> JSONResponse:
            async with self.idempotency.transaction() as tx:
                body = self._body(await work(tx), model)
                if claim is not None:
                    await self.idempotency.finish_in(tx, claim, status, body)
            return JSONResponse(body, status)

        return await self._answer(run, repeatable=True)

    async def _answer(
        self, run: Callable[[Claim | None], Awaitable[JSONResponse]], *, repeatable: bool
    ) -> JSONResponse:
        if self.key is None:
            return await run(None)
        begun = await self.idempotency.begin(
            user_id=self.user_id,
            key=self.key,
            route=self.asked,
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
        self, field: str, work: Callable[[], Awaitable[_Answer]]
    ) -> JSONResponse:
        """Do as ``answer``, but do not store the secret in ``field``: repeated, it is null."""
        secret: str | None = None

        async def without_secret() -> _Answer:
            nonlocal secret
            made = await work()
            secret = getattr(made, field)
            return made.model_copy(update={field: None})

        answer = await self.answer(without_secret)
        answer.headers["Cache-Control"] = "no-store"
        if secret is None:
            return answer
        body = {**json.loads(bytes(answer.body)), field: secret}
        return JSONResponse(body, answer.status_code, {"Cache-Control": "no-store"})

    @property
    def _status(self) -> int:
        return self.route.status_code or 200

    def _body(self, result: object, model: type[BaseModel] | None = None) -> dict[str, Any]:
        """Write a result as a model, by default the route's."""
        adapter = _adapter(model or self.route.response_model)
        body: dict[str, Any] = adapter.dump_python(
            adapter.validate_python(result, from_attributes=True), mode="json"
        )
        return body

    @staticmethod
    async def _quietly(storing: Awaitable[None]) -> None:
        """Answer even if the answer cannot be stored."""
        try:
            await storing
        except Exception as error:
            if not is_unavailable(error):
                raise
            _logger.warning("an idempotency key could not be settled: the database is away")


def located(answer: JSONResponse, collection: str) -> JSONResponse:
    """Add the address of what was made, which the answer holds, in ``/api`` and a collection."""
    made = json.loads(bytes(answer.body))
    answer.headers["Location"] = f"/api/{collection}/{made['id']}"
    return answer


async def _streamed_once(
    request: Request, services: ServicesDep, user: CurrentUser, key: _KeyHeader = None
) -> Once:
    if key is not None and not _KEY.fullmatch(key):
        wrong = "must be 1 to 255 printable ASCII characters"
        raise InvalidFieldError(HEADER, wrong, code="invalid_idempotency_key")
    asked = f"{request.method} {request.url.path}?{request.url.query}"
    return Once(services.idempotency, request.scope["route"], user.id, key, asked, request_hash="")


StreamedOnceDep = Annotated[Once, Depends(_streamed_once)]
"""For a POST that streams its body and sets ``request_hash`` afterwards."""


async def _once(request: Request, once: StreamedOnceDep, settings: SettingsDep) -> Once:
    # Keyed, because a plain hash of a body that holds a password could be guessed.
    key = settings.session_secret.get_secret_value().encode()
    return replace(once, request_hash=hmac.digest(key, await request.body(), "sha256").hex())


OnceDep = Annotated[Once, Depends(_once)]
"""For a POST: ``return await once.answer(work)``."""
