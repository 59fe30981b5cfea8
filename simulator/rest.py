"""Authentication, forms and faults of all REST resources."""

import base64
import hmac
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse

from simulator.errors import TwilioError
from simulator.scenarios import HANG, Fault, FaultKind
from simulator.server import drop_connection, hang
from simulator.state import Simulator

Form = dict[str, list[str]]

_FORM_TYPE = "application/x-www-form-urlencoded"
_HTML = "<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"


async def get_simulator(request: Request) -> Simulator:
    """Return the application's simulator; async, because sync dependencies take a thread."""
    simulator: Simulator = request.app.state.simulator
    return simulator


Sim = Annotated[Simulator, Depends(get_simulator)]


async def check_credentials(request: Request, simulator: Sim) -> None:
    """Admit only the account, by HTTP Basic.

    Raises:
        TwilioError: 20003, also while ``credentials_ok`` is false.
    """
    config = simulator.config
    expected = base64.b64encode(f"{config.account_sid}:{config.auth_token}".encode())
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    known = scheme.lower() == "basic" and hmac.compare_digest(given.strip().encode(), expected)
    account_sid = request.path_params.get("account_sid", config.account_sid)
    if not known or account_sid != config.account_sid or not simulator.behavior.credentials_ok:
        raise TwilioError(20003)


async def read_form(request: Request) -> Form:
    """Return the fields of a form, blank ones included.

    Raises:
        TwilioError: 20415 if the body is no form.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0]
    if content_type.strip().lower() != _FORM_TYPE:
        raise TwilioError(20415)
    body = (await request.body()).decode(errors="replace")
    return parse_qs(body, keep_blank_values=True)


def first(form: Form, name: str) -> str | None:
    """Return a field's first value; None if it is missing or blank."""
    return form.get(name, [""])[0] or None


async def answer_fault(fault: Fault, request: Request, to: str = "") -> Response:
    """Answer a request with its fault.

    Raises:
        TwilioError: The fault is an error document.
    """
    match fault.kind:
        case FaultKind.ERROR:
            raise TwilioError(fault.code, to)
        case FaultKind.HTML:
            return HTMLResponse(_HTML.format(f"{fault.status} Error"), fault.status)
        case FaultKind.HANG:
            await hang(request, HANG.total_seconds())
        case FaultKind.DROP:
            await drop_connection(request)
    return Response(status_code=504)
