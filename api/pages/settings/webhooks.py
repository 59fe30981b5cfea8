"""Settings > Webhooks: the endpoints that events are delivered to, and the delivery log."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.dependencies import AdminOnly
from api.event_webhooks import LOG_CURSORS
from api.pages.addresses import PlaceQuery, listed
from api.pages.forms import FormFields
from api.pages.page import InForm, Page, PageDep, PageEvent
from api.paging import InQuery
from domain.event_webhooks.events import DeliveryState, EventType
from services.event_webhooks.endpoints import (
    MOST_ENDPOINTS,
    REPLAYED_AT_ONCE,
    EndpointFields,
    MadeEndpoint,
)

router = APIRouter(dependencies=[AdminOnly])


class LogQuery(PlaceQuery):
    """Query of the delivery log."""

    state: DeliveryState | None = None


class WebhookFields(FormFields):
    """An endpoint; no types means all of them."""

    url: str = ""
    description: str = ""
    types: list[EventType] = Field(default_factory=list)

    def checked(self) -> EndpointFields:
        """Return the fields as the service takes them."""
        return {"url": self.url.strip(), "description": self.description, "types": self.types}


@router.get("/settings/webhooks")
async def show_webhooks(page: PageDep) -> Response:
    """List the endpoints."""
    found = await page.services.event_endpoints.find(limit=MOST_ENDPOINTS)
    return page.render("settings/webhooks.html", endpoints=found.items)


@router.get("/settings/webhooks/new")
async def new_webhook(page: PageDep) -> Response:
    """Show the form of a new endpoint."""
    return page.render("settings/webhook_new.html", form=WebhookFields())


@router.post("/settings/webhooks")
async def create_webhook(page: PageDep, form: InForm[WebhookFields]) -> Response:
    """Add an endpoint; only this response shows its secret."""
    with page.refusing():
        made = await page.services.event_endpoints.create(form.checked(), page.user.id)
        return await _render(page, made.details.id, LogQuery(), made=made)
    return page.render("settings/webhook_new.html", form=form)


@router.get("/settings/webhooks/{endpoint_id}")
async def show_webhook(page: PageDep, endpoint_id: UUID, query: InQuery[LogQuery]) -> Response:
    """Show an endpoint and its delivery log; the page asks again for changes."""
    return await _render(page, endpoint_id, query)


@router.post("/settings/webhooks/{endpoint_id}")
async def change_webhook(page: PageDep, endpoint_id: UUID, form: InForm[WebhookFields]) -> Response:
    """Change an endpoint."""
    with page.refusing():
        await page.services.event_endpoints.update(endpoint_id, form.checked())
        return page.redirect_to("show_webhook", "Webhook saved.", endpoint_id=endpoint_id)
    return await _render(page, endpoint_id, LogQuery(), form=form)


@router.post("/settings/webhooks/{endpoint_id}/enable")
async def enable_webhook(page: PageDep, endpoint_id: UUID) -> Response:
    """Enable an endpoint."""
    await page.services.event_endpoints.update(endpoint_id, {"enabled": True})
    return page.redirect_to("show_webhook", "Webhook enabled.", endpoint_id=endpoint_id)


@router.post("/settings/webhooks/{endpoint_id}/disable")
async def disable_webhook(page: PageDep, endpoint_id: UUID) -> Response:
    """Disable an endpoint."""
    await page.services.event_endpoints.update(endpoint_id, {"enabled": False})
    return page.redirect_to("show_webhook", "Webhook disabled.", endpoint_id=endpoint_id)


@router.post("/settings/webhooks/{endpoint_id}/secret")
async def rotate_secret(page: PageDep, endpoint_id: UUID) -> Response:
    """Replace an endpoint's secret; only this response shows the new one."""
    made = await page.services.event_endpoints.rotate_secret(endpoint_id)
    return await _render(page, endpoint_id, LogQuery(), made=made)


@router.post("/settings/webhooks/{endpoint_id}/test")
async def test_webhook(page: PageDep, endpoint_id: UUID) -> Response:
    """Send a test event; the log shows the result."""
    await page.services.event_endpoints.test(endpoint_id)
    return page.done("Test sent.", event=PageEvent.DELIVERIES_CHANGED)


@router.post("/settings/webhooks/{endpoint_id}/replay")
async def replay_webhook(page: PageDep, endpoint_id: UUID) -> Response:
    """Send an endpoint every event that is kept and that it wants."""
    after, queued = None, REPLAYED_AT_ONCE
    while queued == REPLAYED_AT_ONCE:
        done = await page.services.event_endpoints.replay(endpoint_id, after)
        after, queued = done.last_id, done.queued
    return page.redirect_to("show_webhook", "Events are being resent.", endpoint_id=endpoint_id)


@router.post("/settings/webhooks/{endpoint_id}/remove")
async def remove_webhook(page: PageDep, endpoint_id: UUID) -> Response:
    """Remove an endpoint and its log."""
    await page.services.event_endpoints.remove(endpoint_id)
    return page.redirect_to("show_webhooks", "Webhook removed.")


@router.post("/settings/webhooks/{endpoint_id}/deliveries/{event_id}/retry")
async def retry_delivery(page: PageDep, endpoint_id: UUID, event_id: UUID) -> Response:
    """Deliver an event again, or at once if it waits."""
    await page.services.event_endpoints.retry(endpoint_id, event_id)
    return page.done("The event is being resent.", event=PageEvent.DELIVERIES_CHANGED)


async def _render(
    page: Page,
    endpoint_id: UUID,
    query: LogQuery,
    *,
    form: WebhookFields | None = None,
    made: MadeEndpoint | None = None,
) -> Response:
    endpoint = await page.services.event_endpoints.get(endpoint_id)
    path = page.path_to("show_webhook", endpoint_id=endpoint_id)
    find = partial(page.services.event_endpoints.deliveries, endpoint_id, state=query.state)
    log, address = await listed(path, query, LOG_CURSORS.within(endpoint_id), find)
    return page.render(
        "settings/webhook.html",
        part="settings/_deliveries.html",
        endpoint=endpoint,
        form=form or WebhookFields.model_validate(endpoint),
        made=made,
        log=log,
        query=query,
        address=address,
    )
