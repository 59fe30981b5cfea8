"""Which refusals are audited, and as what."""

from fastapi import Request

from api.dependencies import actor_of
from api.request_log import route_of
from api.same_origin import CrossSiteError
from services.access.users import ForbiddenError, MissingScopeError, NotSignedInError
from services.factory import Services
from services.platform.rate_limits import TooManyRequestsError


async def note(request: Request, error: Exception) -> None:
    """Audit an error that refuses somebody something.

    ``Sessions`` audits refused sign-ins, because it knows whom they were for.
    """
    actor = actor_of(request)
    match error:
        case ForbiddenError() | MissingScopeError():
            action, detail = "access.refuse", {"needed": error.needed.value}
        case CrossSiteError():
            action, detail = "access.refuse", {"reason": error.code}
        case NotSignedInError() if error.token_given and "authorization" in request.headers:
            action, detail = "token.refuse", {}
        case TooManyRequestsError() if actor.user_id is not None:
            action, detail = "access.throttle", {}
        case _:
            return
    services: Services = request.app.state.services
    detail["route"] = f"{request.method} {route_of(request.scope)}"
    await services.refusals.note(actor, action, detail=detail)
