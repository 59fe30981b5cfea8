"""What the provider tells us: inbound texts and the progress of outbound ones."""

import asyncio
import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from itertools import count, takewhile
from typing import Annotated, Any
from urllib.parse import parse_qs
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute

from api.dependencies import services_of, settings_of
from api.problems import Problem
from domain.messaging.inbound import InboundText, StatusReport
from services.factory import Services
from sms.signature import SignatureValidator

PATIENCE = timedelta(seconds=2)
"""How long the database may take. Twilio waits 15 seconds (4 for a report: the gateway says so) and
hardly ever calls again after they have passed; the sweep fetches what was missed."""

_FORM = "application/x-www-form-urlencoded"
_NOTHING_TO_SAY = "<Response/>"
_REFUSALS: Mapping[int | str, dict[str, object]] = {
    400: {"description": "The message's id, status or numbers are missing"},
    403: {"description": "`invalid_signature`, or `wrong_account` of another account's message"},
    413: {"description": "The body is too large"},
    415: {"description": "Not a form"},
    422: {"description": "The query cannot be read"},
    503: {"description": "The database does not answer, or too much is waiting for it"},
}

_logger = logging.getLogger(__name__)
_under_way: set[asyncio.Task[None]] = set()


class _PlainRoute(APIRoute):
    """A route whose function takes the request and fields of the query as they came, if any.

    FastAPI, which documents them, has nothing else to find out for it.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers."""
        names = [one.alias for one in self.dependant.query_params]

        async def answer(request: Request) -> Response:
            given = (request.query_params.get(name) for name in names)
            response: Response = await self.endpoint(request, *given)
            return response

        return answer


router = APIRouter(
    prefix="/webhooks/twilio",
    tags=["webhooks"],
    responses=dict(_REFUSALS),
    route_class=_PlainRoute,
)

_INBOUND, _STATUS = "/inbound", "/status"
PATHS = tuple(f"{router.prefix}{path}" for path in (_INBOUND, _STATUS))
"""What the provider calls."""

_INBOUND_PATH, _ = PATHS


def is_full(path: str, services: Services) -> bool:
    """Tell whether too many webhooks of a path wait for their transaction."""
    if path == _INBOUND_PATH:
        return services.inbound.is_full
    return services.status_callbacks.is_full


def is_idle(services: Services) -> bool:
    """Tell whether no webhook waits for its transaction, or is in it."""
    return services.inbound.is_idle and services.status_callbacks.is_idle


def missed(path: str, services: Services) -> None:
    """Note that a webhook was not stored: a text is fetched soon, a text's state when it is due."""
    if path == _INBOUND_PATH:
        services.backfill.missed()


@router.post(_INBOUND, response_class=Response)
async def receive_text(request: Request) -> Response:
    """Receive an inbound text, signed by Twilio.

    The answer is empty TwiML, once the text and all its effects are stored; a text that comes twice
    is stored once.
    """
    services = services_of(request)
    fields = await _signed_fields(request)
    if isinstance(fields, Problem):
        return fields.response()
    text = _inbound_text(fields)
    if text is None:
        return _incomplete("MessageSid, From and To").response()
    try:
        await _patiently(services.inbound.receive(text))
    except BaseException:
        missed(_INBOUND_PATH, services)
        raise
    return Response(_NOTHING_TO_SAY, media_type="text/xml")


@router.post(_STATUS, status_code=204, response_class=Response)
async def receive_status(
    request: Request,
    attempt: Annotated[str | None, Query(description="Id of the attempt, from its call")] = None,
) -> Response:
    """Receive Twilio's report on one of our texts; reports come twice, late and in any order."""
    fields = await _signed_fields(request)
    if isinstance(fields, Problem):
        return fields.response()
    report = _status_report(fields, attempt)
    if report is None:
        return _incomplete("MessageSid and MessageStatus").response()
    await _patiently(services_of(request).status_callbacks.receive(report))
    return Response(status_code=204)


async def _patiently(work: Coroutine[object, object, None]) -> None:
    """Wait for work, but not forever.

    Work that takes longer goes on behind the answer: what Twilio hardly ever repeats, a STOP among
    it, must not be lost because rows were locked for a while.

    Raises:
        TimeoutError: It is not done yet.
    """
    task = asyncio.create_task(work)
    _under_way.add(task)
    task.add_done_callback(_done)
    await asyncio.wait({task}, timeout=PATIENCE.total_seconds())
    if not task.done():
        raise TimeoutError
    task.result()


def _done(task: asyncio.Task[None]) -> None:
    _under_way.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        _logger.warning("a webhook was not stored", extra={"error": type(error).__name__})


class _Form(dict[str, list[str]]):
    """A form's fields, each with all its values."""

    getlist = dict[str, list[str]].__getitem__


async def _signed_fields(request: Request) -> dict[str, str] | Problem:
    """Read the form, which must be signed and about our account.

    The whole form is read and checked, never single parameters: a blank field counts for the
    signature, and new fields come without notice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _FORM:
        return Problem(415, "unsupported_media_type", f"send a form, with Content-Type: {_FORM}")
    settings = settings_of(request)
    # Decoded as bytes, for what percent signs stand for is UTF-8.
    form = _Form(parse_qs((await request.body()).decode("latin-1"), keep_blank_values=True))
    validator = SignatureValidator(
        settings.twilio_auth_token.get_secret_value(), settings.public_base_url
    )
    signed = validator.valid(
        raw_path=request.scope["raw_path"],
        raw_query=request.scope["query_string"],
        form=form,
        signature=request.headers.get("x-twilio-signature"),
    )
    if not signed:
        _logger.warning(
            "refused a webhook whose signature is not valid; if the provider sent it,"
            " PUBLIC_BASE_URL or TWILIO_AUTH_TOKEN is not what the provider uses"
        )
        return Problem(403, "invalid_signature", "the signature is missing or does not match")
    # PostgreSQL stores no NUL, and a text must not be lost for one.
    fields = {name: values[-1].replace("\0", "") for name, values in form.items()}
    if fields.get("AccountSid", settings.twilio_account_sid) != settings.twilio_account_sid:
        _logger.warning("refused a webhook of another account")
        return Problem(403, "wrong_account", "the message belongs to another account")
    return fields


def _inbound_text(fields: Mapping[str, str]) -> InboundText | None:
    sid, phone, to = (fields.get(name, "") for name in ("MessageSid", "From", "To"))
    if not (sid and phone and to):
        return None
    return InboundText(
        sid=sid,
        phone=phone,
        to=to,
        messaging_service_sid=fields.get("MessagingServiceSid") or None,
        body=fields.get("Body", ""),
        media_urls=_media_urls(fields),
        opt_out_type=fields.get("OptOutType") or None,
        occurred_at=None,
        payload=fields,
    )


def _media_urls(fields: Mapping[str, str]) -> tuple[str, ...]:
    """Return MediaUrl0, MediaUrl1 and so on."""
    found = (fields.get(f"MediaUrl{index}", "") for index in count())
    return tuple(takewhile(bool, found))


def _status_report(fields: Mapping[str, str], attempt: str | None) -> StatusReport | None:
    sid, status = fields.get("MessageSid", ""), fields.get("MessageStatus", "")
    if not (sid and status):
        return None
    return StatusReport(
        sid=sid,
        status=status,
        error_code=_error_code(fields.get("ErrorCode", "")),
        attempt_id=_attempt_id(attempt or ""),
        from_phone=fields.get("From") or None,
        payload=fields,
    )


def _error_code(written: str) -> int | None:
    """Read an error code, at most nine digits; 0 is none."""
    return int(written) or None if re.fullmatch(r"[0-9]{1,9}", written) else None


def _attempt_id(written: str) -> UUID | None:
    """Read the attempt's id; an address that somebody else made up may hold anything."""
    try:
        return UUID(hex=written)
    except ValueError:
        return None


def _incomplete(needed: str) -> Problem:
    return Problem(400, "malformed_webhook", f"the form needs {needed}")
