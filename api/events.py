"""The events of the last 30 days, for whoever was away, and the webhooks that post them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header
from pydantic import ConfigDict, create_model

from api.dependencies import ServicesDep
from api.paging import InQuery
from api.schemas.base import Schema
from api.schemas.events import DATA, Event, EventData, EventsPage, EventsQuery
from domain.event_webhooks.events import EventType

router = APIRouter(prefix="/events", tags=["events"])


@router.get("")
async def list_events(query: InQuery[EventsQuery], services: ServicesDep) -> EventsPage:
    """List the events of the last 30 days behind one of them, the oldest first.

    Whether endpoints wanted them makes no difference. None is ever skipped: an event is listed once
    it is known that nothing before it can still be written. 410 `event_not_kept` if `after` names
    no event that is kept.
    """
    read = await services.event_log.read(
        after=query.cursor or query.after, types=query.type, limit=query.limit
    )
    return EventsPage(
        items=[Event.model_validate(one) for one in read.items],
        next_cursor=str(read.last_id) if read.more else None,
        last_id=read.last_id,
    )


class _Posted(Schema):
    model_config = ConfigDict(extra="ignore")


def _document(described: APIRouter, kind: EventType, data: type[EventData]) -> None:
    """Describe the request that tells an event of this type."""
    name = kind.replace(".", "_")
    fields: dict[str, Any] = {
        "type": Literal[kind.value],
        "timestamp": datetime,
        "data": data,
    }
    title = "".join(word.capitalize() for word in name.split("_")) + "Event"
    body = create_model(title, __base__=_Posted, __doc__=data.__doc__, **fields)

    async def posted(
        event: body,
        webhook_id: Annotated[
            str, Header(description="The event's id, the same on every attempt.")
        ],
        webhook_timestamp: Annotated[int, Header(description="When it was sent: Unix seconds.")],
        webhook_signature: Annotated[
            str,
            Header(
                description=(
                    "`v1,` and the base64 of an HMAC-SHA-256; for a day after the secret was"
                    " rotated two of them, with a space between."
                )
            ),
        ],
    ) -> None:
        """Take an event."""

    described.add_api_route(
        kind.value,
        posted,
        methods=["POST"],
        status_code=204,
        operation_id=f"webhooks.{name}",
        summary=kind.value,
        description=data.__doc__,
        tags=["webhooks"],
        response_description="Acknowledged, as any 2xx.",
        responses={"default": {"description": "Tried again later; 410 disables the endpoint."}},
    )


def webhooks() -> APIRouter:
    """Describe what is posted to endpoints, for the document; nobody can call it here.

    Making it takes as long as starting half of the API, so only the document does.
    """
    described = APIRouter()
    for kind, data in DATA.items():
        _document(described, kind, data)
    return described
