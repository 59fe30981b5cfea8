"""How many requests are taken on at once; more are answered 503 before all else."""

from starlette.types import ASGIApp, Receive, Scope, Send

from api import health, problems, twilio
from api.request_log import log_refused
from services.factory import Services

WEBHOOKS_AT_ONCE = 600
"""Webhooks under way: those that wait for their transaction, and those whose form is read."""

REQUESTS_AT_ONCE = 200
"""Other requests under way; health checks are not counted."""


class Admission:
    """Refuses requests that would have to wait for long, at little cost.

    Whoever is refused may come again after ``Retry-After``. The backfill fetches a text that is
    refused, and looks up a text whose report is.
    """

    def __init__(
        self, app: ASGIApp, *, webhooks: int = WEBHOOKS_AT_ONCE, requests: int = REQUESTS_AT_ONCE
    ) -> None:
        self._app = app
        self._most = {True: webhooks, False: requests}
        self._under_way = {True: 0, False: 0}
        self._busy = problems.BUSY.response()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 503."""
        if scope["type"] != "http" or scope["path"] in health.PATHS:
            await self._app(scope, receive, send)
            return
        services: Services = scope["app"].state.services
        is_webhook = scope["path"] in twilio.PATHS
        is_full = self._under_way[is_webhook] >= self._most[is_webhook]
        if is_full or (is_webhook and twilio.is_full(scope["path"], services)):
            if is_webhook:
                twilio.missed(scope["path"], services)
            log_refused(scope)
            await self._busy(scope, receive, send)
            return
        self._under_way[is_webhook] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[is_webhook] -= 1
