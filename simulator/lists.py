"""GET Messages.json and Messages/{Sid}.json: list and fetch messages."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from simulator.errors import TwilioError
from simulator.messages import Message, MessageFilter, is_kept_here, kept_picture, media_type, now
from simulator.rest import Sim, answer_fault, check_credentials
from simulator.state import Simulator

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_LIMIT = 1000

router = APIRouter(
    prefix="/2010-04-01/Accounts/{account_sid}", dependencies=[Depends(check_credentials)]
)


async def fault_answer(request: Request, simulator: Sim) -> Response | None:
    """Return the answer of the list's fault, if it has one."""
    faults = simulator.behavior.fail_next_lists
    fault = faults.take() if faults else None
    return None if fault is None else await answer_fault(fault, request)


FaultAnswer = Annotated[Response | None, Depends(fault_answer)]


@router.get("/Messages/{sid}.json")
async def fetch_message(sid: str, request: Request, simulator: Sim, fault: FaultAnswer) -> Response:
    """Return one message."""
    if fault is not None:
        return fault
    message = _message(request, simulator, sid)
    return JSONResponse(message.resource(simulator.config.account_sid, simulator.behavior.habit))


@router.get("/Messages/{sid}/Media.json")
async def list_media(sid: str, request: Request, simulator: Sim, fault: FaultAnswer) -> Response:
    """Return the pictures of a message on one page."""
    if fault is not None:
        return fault
    message = _message(request, simulator, sid)
    account_sid = simulator.config.account_sid
    media = [message.media_resource(account_sid, at) for at in range(len(message.media_urls))]
    return JSONResponse(
        {
            "media_list": media,
            "page": 0,
            "page_size": PAGE_SIZE_DEFAULT,
            "start": 0,
            "end": max(len(media) - 1, 0),
            "uri": request.url.path,
            "first_page_uri": request.url.path,
            "next_page_uri": None,
            "previous_page_uri": None,
        }
    )


@router.get("/Messages/{sid}/Media/{media_sid}")
async def fetch_media(sid: str, media_sid: str, request: Request, simulator: Sim) -> Response:
    """Return a picture that is kept here, else redirect to it, as Twilio does to its storage."""
    message = _message(request, simulator, sid)
    for at, url in enumerate(message.media_urls):
        if message.media_sid(at) == media_sid:
            if is_kept_here(url):
                return Response(kept_picture(url), media_type=media_type(url))
            return RedirectResponse(url)
    raise TwilioError(20404, request.url.path)


def _message(request: Request, simulator: Simulator, sid: str) -> Message:
    message = simulator.messages.get(sid)
    if message is None:
        raise TwilioError(20404, request.url.path)
    return message


@router.get("/Messages.json")
async def list_messages(request: Request, simulator: Sim, fault: FaultAnswer) -> Response:
    """Return one page of messages of both directions, newest first.

    A page token names the message before the page, so new messages do not shift pages. Unlike
    Twilio's, ``previous_page_uri`` is always null.
    """
    if fault is not None:
        return fault
    query = dict(request.query_params)
    page, size = _number(query, "Page", 0), _number(query, "PageSize", PAGE_SIZE_DEFAULT)
    if size > PAGE_SIZE_LIMIT:
        raise TwilioError(20007)
    size = max(size, 1)
    token = query.get("PageToken")
    below = _below(simulator, token)
    skip = page * size if token is None else 0
    wanted = read_filter(query, simulator.behavior.list_lag_seconds)
    habit = simulator.behavior.habit
    if habit is not None and wanted.to is not None and wanted.to != habit.recipient(wanted.to):
        wanted = replace(wanted, inbound_only=True)  # a person's number is kept otherwise
    matching = filter(wanted.matches, simulator.messages.newest_first(wanted.to, below))
    found = list(islice(matching, skip, skip + size + 1))
    shown = found[:size]
    base = {name: text for name, text in query.items() if name not in {"Page", "PageToken"}}
    base["PageSize"] = str(size)
    following = {**base, "Page": page + 1, "PageToken": f"PA{shown[-1].sid}"} if shown else {}
    path = request.url.path
    return JSONResponse(
        {
            "messages": [
                message.resource(simulator.config.account_sid, habit) for message in shown
            ],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(shown) - 1, 0),
            "uri": f"{path}?{request.url.query}" if request.url.query else path,
            "first_page_uri": f"{path}?{urlencode({**base, 'Page': 0})}",
            "next_page_uri": f"{path}?{urlencode(following)}" if len(found) > size else None,
            "previous_page_uri": None,
        }
    )


def read_filter(query: dict[str, str], lag_seconds: float = 0) -> MessageFilter:
    """Read a list's filters; the inequality is part of the parameter's name.

    A bare date means the whole UTC day. ``DateSent>`` and ``DateSent<`` include their bounds, as
    Twilio documents.

    Raises:
        TwilioError: 20001 if a date is invalid.
    """
    sent_from: datetime | None = None
    sent_until: datetime | None = None
    for name, text in query.items():
        if not text or name.rstrip("<>=") != "DateSent":
            continue
        start, end = _span(text)
        if "<" not in name:
            sent_from = max(start, sent_from or start)
        if ">" not in name:
            sent_until = min(end, sent_until or end)
    return MessageFilter(
        to=query.get("To") or None,
        from_number=query.get("From") or None,
        sent_from=sent_from,
        sent_until=sent_until,
        created_until=now() - timedelta(seconds=lag_seconds) if lag_seconds else None,
    )


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the day or second that a date means, half-open."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise TwilioError(20001, text) from None
    lasts = timedelta(days=1) if len(text) <= len("2026-11-22") else timedelta(seconds=1)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment, moment + lasts


def _number(query: dict[str, str], name: str, default: int) -> int:
    text = query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default


def _below(simulator: Simulator, token: str | None) -> int | None:
    """Return the number of the message before a page.

    Raises:
        TwilioError: 20001 if the token is unknown or its message is deleted.
    """
    if token is None:
        return None
    message = simulator.messages.get(token.removeprefix("PA"))
    if message is None:
        raise TwilioError(20001, token)
    return message.number
