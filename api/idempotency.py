"""``Idempotency-Key``: a repeated POST gets the first answer and does nothing.

As in draft-ietf-httpapi-idempotency-key-header-07, except that a body's JSON counts byte by byte.
"""

import hmac
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
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
_LONGEST_KEY = 255
_KEY_PATTERN = r"^[!-~]([ -~]*[!-~])?$"
"""Printable ASCII; HTTP takes spaces off the ends of a header."""

_KEY = re.compile(_KEY_PATTERN)

_KeyHeader = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description=(
            "1 to 255 printable ASCII characters, fresh for each new request. The same request"
            " under the same key is answered as the first time, for 24 hours."
        ),
        json_schema_extra={
            "minLength": 1,
            "maxLength": _LONGEST_KEY,
            "pattern": _KEY_PATTERN,
            "examples": ["crm-lead-4711-welcome"],
        },
    ),
]


@dataclass(frozen=True)
class Once:
    """Does a request once per key; without a key, every time.

    Answers have the status and the model that the route declares. A 201 gives the address of what
    was created as ``Location``: its id in ``collection``.

    Attributes:
        asked: The method, path and query, by which a key is told from its use for another request.
        collection: The path of the request, or of the collection that the created thing belongs to.
    """

    idempotency: Idempotency
    route: APIRoute
    user_id: UUID
    key: str | None
    asked: str
    collection: str
    request_hash: str

    def into(self, collection: str) -> "Once":
        """Create things in another collection than the path of the request."""
        return replace(self, collection=collection)

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
            return self._response(body, status)

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
            return self._response(body, status)

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
            answer = self._response(begun.answer, begun.status_code)
            answer.headers[REPLAYED_HEADER] = "true"
            return answer
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
        shown = self._response(
            {**json.loads(bytes(answer.body)), field: secret}, answer.status_code
        )
        shown.headers["Cache-Control"] = "no-store"
        return shown

    @property
    def _status(self) -> int:
        return self.route.status_code or 200

    def _response(self, body: Mapping[str, Any], status: int) -> JSONResponse:
        """Write an answer, and where the thing is that was created."""
        headers = {}
        if status == HTTPStatus.CREATED:
            headers["Location"] = (
                f"{self.collection}/{body['id']}" if "id" in body else self.collection
            )
        return JSONResponse(body, status, headers)

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


async def _streamed_once(
    request: Request, services: ServicesDep, user: CurrentUser, key: _KeyHeader = None
) -> Once:
    if key is not None and not (len(key) <= _LONGEST_KEY and _KEY.fullmatch(key)):
        wrong = "must be 1 to 255 printable ASCII characters"
        raise InvalidFieldError(HEADER, wrong, code="invalid_idempotency_key")
    asked = f"{request.method} {request.url.path}?{request.url.query}"
    route, path = request.scope["route"], request.url.path
    return Once(services.idempotency, route, user.id, key, asked, path, request_hash="")


StreamedOnceDep = Annotated[Once, Depends(_streamed_once)]
"""For a POST that streams its body and sets ``request_hash`` afterwards."""


async def _once(request: Request, once: StreamedOnceDep, settings: SettingsDep) -> Once:
    # Keyed, because a plain hash of a body that holds a password could be guessed.
    key = settings.session_secret.get_secret_value().encode()
    return replace(once, request_hash=hmac.digest(key, await request.body(), "sha256").hex())


OnceDep = Annotated[Once, Depends(_once)]
"""For a POST: ``return await once.answer(work)``."""
