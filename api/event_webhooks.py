"""Routes of event endpoints: who is told what happens, and how that went."""

from datetime import datetime
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, PageQuery, listing
from api.schemas.base import Listing
from api.schemas.event_webhooks import (
    DeliveryQuery,
    EventDelivery,
    EventEndpoint,
    EventEndpointChanges,
    EventEndpointWithSecret,
    NewEventEndpoint,
)
from services.event_webhooks.endpoints import EndpointFields, MadeEndpoint

router = APIRouter(prefix="/event-endpoints", tags=["events"], dependencies=[AdminOnly])

_SORT = "created_at"
_CURSORS = Cursors("event-endpoints", {_SORT: datetime})
_LOG_SORT = "-number"
_LOG_CURSORS = Cursors("deliveries", {"number": str})


@router.post("", status_code=201, response_model=EventEndpointWithSecret)
async def create_event_endpoint(
    body: NewEventEndpoint, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Have an address told what happens from now on; see docs/events.md.

    The answer holds the secret that verifies signatures, once. 422 `https_required` or
    `private_address` for an address that is not to be told; 409 `too_many_endpoints` above 20.
    """

    async def create() -> EventEndpointWithSecret:
        fields = cast("EndpointFields", body.model_dump())
        return _with_secret(await services.event_endpoints.create(fields, user.id))

    return await once.answer_with_secret(EventEndpointWithSecret, "secret", create)


@router.get("")
async def list_event_endpoints(
    query: Annotated[PageQuery, Query()], services: ServicesDep
) -> Listing[EventEndpoint]:
    """List event endpoints in the order they were made."""
    after = _CURSORS.read(query.cursor, _SORT)
    page = await services.event_endpoints.find(after=after, limit=query.limit)
    return listing(page, EventEndpoint, _CURSORS.write(page.next, _SORT))


@router.get("/{endpoint_id}")
async def get_event_endpoint(endpoint_id: UUID, services: ServicesDep) -> EventEndpoint:
    """Give one event endpoint, without its secret."""
    return EventEndpoint.model_validate(await services.event_endpoints.get(endpoint_id))


@router.patch("/{endpoint_id}")
async def change_event_endpoint(
    endpoint_id: UUID, body: EventEndpointChanges, services: ServicesDep
) -> EventEndpoint:
    """Change what is given.

    What happens while an endpoint is disabled is not told to it later. Events that waited already
    are delivered once it is enabled, if that is within 30 days.
    """
    fields = cast("EndpointFields", body.model_dump(exclude_unset=True))
    return EventEndpoint.model_validate(await services.event_endpoints.update(endpoint_id, fields))


@router.delete("/{endpoint_id}", status_code=204)
async def remove_event_endpoint(endpoint_id: UUID, services: ServicesDep) -> None:
    """Remove an event endpoint and its delivery log; what waits for it is not delivered."""
    await services.event_endpoints.remove(endpoint_id)


@router.post("/{endpoint_id}/rotate-secret", response_model=EventEndpointWithSecret)
async def rotate_event_secret(endpoint_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Give an event endpoint a new secret; the old one signs nothing from now on."""

    async def rotate() -> EventEndpointWithSecret:
        return _with_secret(await services.event_endpoints.rotate_secret(endpoint_id))

    return await once.answer_with_secret(EventEndpointWithSecret, "secret", rotate, status_code=200)


@router.post("/{endpoint_id}/test", status_code=202, response_model=EventDelivery)
async def test_event_endpoint(endpoint_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Send a `test.ping` on the way of all events; the delivery log shows what came of it.

    409 `endpoint_disabled`.
    """
    return await once.answer(
        EventDelivery,
        lambda: services.event_endpoints.test(endpoint_id),
        status_code=202,
        repeatable=True,
    )


@router.get("/{endpoint_id}/deliveries")
async def list_event_deliveries(
    endpoint_id: UUID, query: Annotated[DeliveryQuery, Query()], services: ServicesDep
) -> Listing[EventDelivery]:
    """List what an endpoint was told in the last 30 days or is to be told, the latest first."""
    cursors = _LOG_CURSORS.within(endpoint_id)
    page = await services.event_endpoints.deliveries(
        endpoint_id,
        state=query.state,
        after=cursors.read(query.cursor, _LOG_SORT),
        limit=query.limit,
    )
    return listing(page, EventDelivery, cursors.write(page.next, _LOG_SORT))


@router.post(
    "/{endpoint_id}/deliveries/{event_id}/retry", status_code=202, response_model=EventDelivery
)
async def retry_event_delivery(
    endpoint_id: UUID, event_id: UUID, services: ServicesDep, once: OnceDep
) -> Response:
    """Deliver an event once more, whether it was given up, delivered, or waits for its next try.

    Until that is settled, later events of its subject wait. 409 `endpoint_disabled`.
    """
    return await once.answer(
        EventDelivery,
        lambda: services.event_endpoints.retry(endpoint_id, event_id),
        status_code=202,
        repeatable=True,
    )


def _with_secret(made: MadeEndpoint) -> EventEndpointWithSecret:
    shown = EventEndpoint.model_validate(made.details)
    return EventEndpointWithSecret(**shown.model_dump(), secret=made.secret)
