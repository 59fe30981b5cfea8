"""Routes of event endpoints and their delivery logs."""

from datetime import datetime
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Response

from api.dependencies import AdminOnly, CurrentUser, ServicesDep
from api.idempotency import OnceDep
from api.paging import Cursors, InQuery, PageQuery
from api.schemas.base import Listing
from api.schemas.event_webhooks import (
    DeliveryQuery,
    EventDelivery,
    EventEndpoint,
    EventEndpointChanges,
    EventEndpointWithSecret,
    NewEventEndpoint,
    Replay,
    ReplayRequest,
)
from services.event_webhooks.endpoints import REPLAYED_AT_ONCE, MadeEndpoint

router = APIRouter(prefix="/event-endpoints", tags=["events"], dependencies=[AdminOnly])

_CURSORS = Cursors("event-endpoints", "created_at", {"created_at": datetime})
LOG_CURSORS = Cursors("deliveries", "-number", {"number": str})


@router.post("", status_code=201, response_model=EventEndpointWithSecret)
async def create_event_endpoint(
    body: NewEventEndpoint, services: ServicesDep, user: CurrentUser, once: OnceDep
) -> Response:
    """Add an endpoint that gets the events from now on; see docs/events.md.

    Only this answer holds the secret that verifies signatures. 422 `https_required` or
    `private_address` for an address that is not allowed; 409 `too_many_endpoints` above 20.
    """

    async def create() -> EventEndpointWithSecret:
        return _with_secret(await services.event_endpoints.create(body.as_fields(), user.id))

    return await once.answer_with_secret("secret", create)


@router.get("")
async def list_event_endpoints(
    query: InQuery[PageQuery], services: ServicesDep
) -> Listing[EventEndpoint]:
    """List event endpoints, oldest first."""
    return await _CURSORS.listing(EventEndpoint, query, services.event_endpoints.find)


@router.get("/{endpoint_id}")
async def get_event_endpoint(endpoint_id: UUID, services: ServicesDep) -> EventEndpoint:
    """Return one event endpoint, without its secret."""
    return EventEndpoint.model_validate(await services.event_endpoints.get(endpoint_id))


@router.patch("/{endpoint_id}")
async def change_event_endpoint(
    endpoint_id: UUID, body: EventEndpointChanges, services: ServicesDep
) -> EventEndpoint:
    """Change only the given fields.

    Events that wait for a disabled endpoint are delivered once it is enabled again. Those that
    happen while it is disabled are not sent by themselves: see `replay`.
    """
    changed = await services.event_endpoints.update(endpoint_id, body.as_changes())
    return EventEndpoint.model_validate(changed)


@router.delete("/{endpoint_id}", status_code=204)
async def remove_event_endpoint(endpoint_id: UUID, services: ServicesDep) -> None:
    """Remove an event endpoint and its delivery log; waiting events are not delivered."""
    await services.event_endpoints.remove(endpoint_id)


@router.post("/{endpoint_id}/rotate-secret", response_model=EventEndpointWithSecret)
async def rotate_event_secret(endpoint_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Give an event endpoint a new secret; the old one is good for 24 hours beside it.

    Until `previous_secret_until` each delivery has two signatures. The secret before these two
    signs nothing: rotate twice if one has leaked.
    """

    async def rotate() -> EventEndpointWithSecret:
        return _with_secret(await services.event_endpoints.rotate_secret(endpoint_id))

    return await once.answer_with_secret("secret", rotate)


@router.post("/{endpoint_id}/test", response_model=EventDelivery)
async def test_event_endpoint(endpoint_id: UUID, services: ServicesDep, once: OnceDep) -> Response:
    """Send a `test.ping` the way all events go; the delivery log shows its result.

    409 `endpoint_disabled`.
    """
    return await once.answer(lambda: services.event_endpoints.test(endpoint_id), repeatable=True)


@router.post("/{endpoint_id}/replay", response_model=Replay)
async def replay_events(
    endpoint_id: UUID, body: ReplayRequest, services: ServicesDep, once: OnceDep
) -> Response:
    """Send an endpoint the events of its types behind one, as after a time in which it was away.

    At most 10,000 at once, the oldest first; `next_after` goes on. Those that it has acknowledged
    are sent again, under the same `webhook-id`. 409 `endpoint_disabled`; 410 `event_not_kept`; 503
    `busy` while a long change is under way that could be left out: ask again.
    """

    async def replay() -> Replay:
        done = await services.event_endpoints.replay(endpoint_id, body.after)
        more = done.queued == REPLAYED_AT_ONCE
        return Replay(queued=done.queued, next_after=done.last_id if more else None)

    return await once.answer(replay, repeatable=True)


@router.get("/{endpoint_id}/deliveries")
async def list_event_deliveries(
    endpoint_id: UUID, query: InQuery[DeliveryQuery], services: ServicesDep
) -> Listing[EventDelivery]:
    """List an endpoint's deliveries of the last 30 days and those to come, latest first."""
    find = partial(services.event_endpoints.deliveries, endpoint_id, state=query.state)
    return await LOG_CURSORS.within(endpoint_id).listing(EventDelivery, query, find)


@router.post("/{endpoint_id}/deliveries/{event_id}/retry", response_model=EventDelivery)
async def retry_event_delivery(
    endpoint_id: UUID, event_id: UUID, services: ServicesDep, once: OnceDep
) -> Response:
    """Deliver an event again, whether it was delivered, given up, or waits for its next try.

    Later events of its subject wait for the result. 409 `endpoint_disabled`.
    """
    return await once.answer(
        lambda: services.event_endpoints.retry(endpoint_id, event_id), repeatable=True
    )


def _with_secret(made: MadeEndpoint) -> EventEndpointWithSecret:
    shown = EventEndpoint.model_validate(made.details)
    return EventEndpointWithSecret(**shown.model_dump(), secret=made.secret)
