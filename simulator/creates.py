"""POST Messages.json: create a message.

Parameters and limits: https://www.twilio.com/docs/messaging/api/message-resource (2026-11).
"""

import asyncio
import re
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse

from simulator.errors import TwilioError
from simulator.rest import Form, Sim, answer_fault, check_credentials, first, read_form
from simulator.scenarios import TEST_RECIPIENTS, TEST_SENDERS, scenario_of
from simulator.state import Draft

BODY_LIMIT = 1600
MEDIA_LIMIT = 10
URL_LIMIT = 4000
VALIDITY_PERIOD_LIMIT = 36000

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_SENDER = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]")

router = APIRouter(
    prefix="/2010-04-01/Accounts/{account_sid}", dependencies=[Depends(check_credentials)]
)


@router.post("/Messages.json")
async def create_message(request: Request, simulator: Sim) -> Response:
    """Create a message, or fail as the number or the account is set to."""
    form = await read_form(request)
    behavior = simulator.behavior
    if behavior.create_delay_seconds:
        await asyncio.sleep(behavior.create_delay_seconds)
    to = first(form, "To") or ""
    call = simulator.count(simulator.calls, to)
    scenario = scenario_of(to)
    fault = behavior.fault_of_create(simulator.random) or scenario.fault_of_call(call)
    if fault is not None and not fault.creates:
        return await answer_fault(fault, request, to)
    message, life = simulator.accept(read_draft(form))
    resource = message.resource(simulator.config.account_sid, behavior.habit)
    if fault is not None:
        return await answer_fault(fault, request, to)
    if scenario.reports_first:
        await asyncio.wait([life])
    if scenario.answer_delay:
        await asyncio.sleep(scenario.answer_delay.total_seconds())
    return JSONResponse(resource, status_code=201)


def read_draft(form: Form) -> Draft:
    """Check a create's parameters in Twilio's order.

    Raises:
        TwilioError: A parameter is missing or invalid.
    """
    to = first(form, "To")
    if to is None:
        raise TwilioError(21604)
    if not _E164.fullmatch(to):
        raise TwilioError(21211, to)
    from_number = _sender(first(form, "From"), to)
    service_sid = first(form, "MessagingServiceSid")
    if service_sid is not None and not _SERVICE.fullmatch(service_sid):
        raise TwilioError(21705, service_sid)
    if from_number is None and service_sid is None:
        raise TwilioError(21603)
    if to in TEST_RECIPIENTS:
        raise TwilioError(TEST_RECIPIENTS[to], to)
    body, media_urls = _content(form)
    return Draft(
        to=to,
        from_number=from_number,
        messaging_service_sid=service_sid,
        body=body,
        media_urls=media_urls,
        status_callback=_status_callback(first(form, "StatusCallback")),
        validity_period=_validity_period(first(form, "ValidityPeriod")),
    )


def _sender(from_number: str | None, to: str) -> str | None:
    if from_number is None:
        return None
    if from_number in TEST_SENDERS:
        raise TwilioError(TEST_SENDERS[from_number], from_number)
    if not _SENDER.fullmatch(from_number):
        raise TwilioError(21212, from_number)
    if from_number == to:
        raise TwilioError(21266, to)
    return from_number


def _content(form: Form) -> tuple[str, tuple[str, ...]]:
    """Return body and media; one of them is required."""
    body = form.get("Body", [""])[0]
    media_urls = tuple(url for url in form.get("MediaUrl", []) if url)
    if not body and not media_urls:
        raise TwilioError(21602)
    if len(body) > BODY_LIMIT:
        raise TwilioError(21617)
    if len(media_urls) > MEDIA_LIMIT:
        raise TwilioError(21623)
    if not all(_is_web_address(url) for url in media_urls):
        raise TwilioError(21620)
    return body, media_urls


def _status_callback(url: str | None) -> str | None:
    if url is not None and (len(url) > URL_LIMIT or not _is_web_address(url)):
        raise TwilioError(21609, url)
    return url


def _validity_period(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII) or not 1 <= int(text) <= VALIDITY_PERIOD_LIMIT:
        raise TwilioError(21624)
    return int(text)


def _is_web_address(url: str) -> bool:
    """Whether Twilio accepts the URL; it refuses host names with underscores."""
    try:
        parts = urlsplit(url)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return False
    host = parts.netloc.rpartition("@")[2]
    host = host if host.endswith("]") else re.sub(r":\d*$", "", host)
    return parts.scheme in {"http", "https"} and port_is_valid and bool(_HOST.fullmatch(host))
