"""The one place where errors become RFC 9457 problem documents."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api import refusals
from api.etags import PreconditionFailedError
from api.field_problems import FieldProblem, field_problem
from api.request_log import CLIENT_GONE
from api.same_origin import CrossSiteError
from domain.platform.errors import (
    ConflictError,
    GoneError,
    InvalidFieldError,
    InvalidRequestError,
    NotFoundError,
    SegueError,
)
from services.access.sessions import SignInRefusedError
from services.access.users import ForbiddenError, MissingScopeError, NotSignedInError
from services.platform.group_commit import FullError
from services.platform.rate_limits import TooManyRequestsError
from storage.platform.database import UNAVAILABLE_ERRORS, is_unavailable
from workflows.client import TemporalUnavailableError

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5

EXPECTED: tuple[type[Exception], ...] = (
    SegueError,
    RequestValidationError,
    HTTPException,
    FullError,
    TemporalUnavailableError,
    *UNAVAILABLE_ERRORS,
)
"""Errors with an answer of their own; any other is our fault."""

_logger = logging.getLogger(__name__)

_INVALID_REQUEST = "invalid_request"
_ERRORS_MOST = 100

_HTTP_PROBLEMS = {
    400: ("malformed_request", "the body cannot be read; send JSON in UTF-8"),
    404: ("unknown_route", "there is nothing at this address; see /api/openapi.json"),
    405: ("method_not_allowed", "this address does not take this method; see the Allow header"),
    408: ("body_too_slow", "the body did not arrive in time; send it again, or send less at once"),
    421: (
        "unknown_host",
        "the API is not called by this name; use PUBLIC_BASE_URL's, or add it to ALLOWED_HOSTS",
    ),
    CLIENT_GONE: (
        "client_closed_request",
        "the client closed the connection before its body ended",
    ),
    413: (
        "body_too_large",
        "the body is too large; send less at once, or, without a token or a session, show one",
    ),
}


@dataclass(frozen=True)
class Problem:
    """An error answer: a stable code in snake case, a detail for people.

    ``members`` are further members of the document: ids and codes.
    """

    status: int
    code: str
    detail: str
    errors: Sequence[FieldProblem] = ()
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """Write the answer."""
        document: dict[str, Any] = {
            **self.members,
            "type": f"urn:segue:problem:{self.code}",
            "title": self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        if self.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            document["errors"] = [vars(error) for error in self.errors]
        # ASCII, because a field's name comes from the client and may be invalid Unicode.
        return Response(
            json.dumps(document), self.status, dict(self.headers), media_type=MEDIA_TYPE
        )


def translate(error: Exception, request: Request) -> Problem:
    """Translate an error; of an unexpected one nothing is shown."""
    match error:
        case RequestValidationError():
            return _from_validation(error, request)
        case SegueError():
            return of_domain(error)
        case HTTPException():
            return _from_http(error, request)
        case FullError():
            return BUSY
        case TemporalUnavailableError():
            return unavailable("temporal_unavailable", "Temporal is not responding; try again soon")
        case _ if is_unavailable(error):
            return unavailable(
                "database_unavailable", "the database is not responding; try again soon"
            )
        case _ if isinstance(error, UNAVAILABLE_ERRORS):  # a deadlock or the like
            return unavailable("database_busy", "others were changing the same; try again")
        case _:
            return Problem(500, "internal_error", "something went wrong on our end; it was logged")


def unavailable(code: str, detail: str, **members: object) -> Problem:
    """Answer that a part which the request needs is away."""
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
    return Problem(503, code, detail, members=members, headers=headers)


BUSY = unavailable("busy", "too much is being done at once; try again soon")
"""Too many requests are under way."""

Show = Callable[[Request, Exception, Problem], Awaitable[Response | None]]
"""Renders an error for people; None if a program asked."""


async def _to_programs_only(*_: object) -> None:
    """Render nothing: for an application without pages."""


async def respond(request: Request, error: Exception) -> Response:
    """Answer an error, as a page if one was asked for, else as a problem; audit a refusal."""
    await refusals.note(request, error)
    problem = translate(error, request)
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _logger.warning(
            "answered %d %s", problem.status, problem.code, extra={"method": request.method}
        )
    show: Show = request.app.state.show_error
    return await show(request, error, problem) or problem.response()


def install(app: FastAPI, show: Show = _to_programs_only) -> None:
    """Answer every error of the application; ``show`` renders those of the pages."""
    app.state.show_error = show
    for kind in EXPECTED:
        app.add_exception_handler(kind, respond)
    # Starlette raises these again after the answer, and the server logs the traceback.
    app.add_exception_handler(Exception, respond)


def of_domain(error: SegueError) -> Problem:
    """Translate an error that the product raises on purpose."""
    status, code = 400, error.code
    members: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    match error:
        case InvalidFieldError():
            return _from_fields([error])
        case InvalidRequestError():
            return _from_fields(error.errors)
        case NotFoundError():
            status, members = 404, {"kind": error.kind}
        case ConflictError():
            status, code, members = 409, error.conflict, error.facts
        case GoneError():
            status, code = 410, error.what
        case TooManyRequestsError():
            status, headers = 429, _rate_limit(error)
        case NotSignedInError() | SignInRefusedError():
            invalid = ', error="invalid_token"' if getattr(error, "token_given", False) else ""
            status, headers = 401, {"WWW-Authenticate": f'Bearer realm="segue"{invalid}'}
        case ForbiddenError() | MissingScopeError():
            needed = "needed_role" if isinstance(error, ForbiddenError) else "needed_scope"
            status, members = 403, {needed: error.needed}
        case CrossSiteError() | PreconditionFailedError():
            status = 403 if isinstance(error, CrossSiteError) else 412
        case _:
            pass
    return Problem(status, code, str(error), members=members, headers=headers)


def _rate_limit(error: TooManyRequestsError) -> Mapping[str, str]:
    """Say when to come again, and the quota if there is one.

    As in draft-ietf-httpapi-ratelimit-headers-10; what is left is not enough for the request.
    """
    wait = error.retry_after_seconds
    headers = {"Retry-After": str(wait)}
    if error.quota is not None:
        most, window = error.quota
        headers["RateLimit-Policy"] = f'"default";q={most};w={window}'
        headers["RateLimit"] = f'"default";r=0;t={wait}'
    return headers


def _from_fields(errors: Sequence[InvalidFieldError]) -> Problem:
    """Name all wrong fields; a single one gives the problem its code."""
    codes = {error.field_code for error in errors}
    code = codes.pop() if len(errors) == 1 else _INVALID_REQUEST
    return Problem(
        422,
        _INVALID_REQUEST if code == InvalidFieldError.code else code,
        "; ".join(str(error) for error in errors),
        errors=[FieldProblem.of(error) for error in errors],
    )


def _from_http(error: HTTPException, request: Request) -> Problem:
    status, headers = error.status_code, error.headers or {}
    if status in _HTTP_PROBLEMS:
        code, detail = _HTTP_PROBLEMS[status]
    else:
        code, detail = HTTPStatus(status).name.lower(), HTTPStatus(status).description
    if status == HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods_of_path(request)):
        headers = {**headers, "Allow": ", ".join(methods)}
    return Problem(status, code, detail, headers=headers)


def _methods_of_path(request: Request) -> Sequence[str]:
    """List the methods of all routes of a path; each route knows only its own."""
    taken: set[str] = set()
    for context in iter_route_contexts(request.app.routes):
        route: Any = context
        if route.methods and route.matches(request.scope)[0] is not Match.NONE:
            taken |= route.methods
    if "GET" in taken:
        taken.add("HEAD")
    return sorted(taken)


def _from_validation(error: RequestValidationError, request: Request) -> Problem:
    found: Sequence[Mapping[str, Any]] = error.errors()
    if any(problem["type"] == "json_invalid" for problem in found):
        at = found[0]["loc"][-1]
        return Problem(400, "malformed_json", f"the body is not JSON; it breaks at character {at}")
    if any(tuple(problem["loc"]) == ("body",) for problem in found) and _is_not_json(request):
        return Problem(
            415, "unsupported_media_type", "send JSON, with Content-Type: application/json"
        )
    errors = [field_problem(problem) for problem in found[:_ERRORS_MOST]]
    names = ", ".join(dict.fromkeys(problem.field for problem in errors))
    return Problem(422, _INVALID_REQUEST, f"cannot be taken: {names}", errors=errors)


def _is_not_json(request: Request) -> bool:
    """Tell whether there is a body that is not declared as JSON."""
    if request.headers.get("content-length", "") == "0":
        return False
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
    return has_body and not (kind == "application/json" or kind.endswith("+json"))
