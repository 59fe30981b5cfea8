"""The control API under /_simulator: no authentication, for the machine it runs on."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from simulator.behaviour import Behaviour
from simulator.inbound import InboundText
from simulator.messages import Message
from simulator.rest import Sim
from simulator.state import counts_of

router = APIRouter(prefix="/_simulator")

_E164 = r"^\+[1-9]\d{6,14}$"


class InboundRequest(BaseModel):
    """A text that a handset sends."""

    model_config = ConfigDict(extra="forbid")

    sender: Annotated[str, Field(alias="from", pattern=_E164)]
    to: Annotated[str, Field(min_length=3, max_length=20)]
    body: Annotated[str, Field(max_length=1600)] = ""
    media_urls: Annotated[list[str], Field(max_length=10)] = []
    messaging_service_sid: str | None = None
    opt_out_type: Literal["STOP", "START", "HELP"] | None = None
    deliver: bool = True


@router.get("/messages")
async def list_all(
    simulator: Sim,
    to: str | None = None,
    after: int = 0,
    limit: Annotated[int, Query(ge=0)] = 200_000,
) -> dict[str, object]:
    """Return messages in the order of their creation, those after number ``after`` only.

    ``calls`` counts the creates each number was called with, ``created`` those that made a
    message.
    """
    shown: list[dict[str, object]] = []
    for message in simulator.messages.oldest_first(after):
        if len(shown) == limit:
            break
        if to is None or message.to == to:
            shown.append(control_document(message))
    return {
        "messages": shown,
        "created": counts_of(simulator.created, to),
        "calls": counts_of(simulator.calls, to),
    }


@router.get("/totals")
async def show_totals(simulator: Sim) -> dict[str, int]:
    """Return how many messages are kept and what became of the posts to the application.

    ``open`` is how many messages and reports are still under way: 0 when all have come to rest.
    """
    webhooks = simulator.webhooks
    return {
        "messages": len(simulator.messages),
        "open": simulator.callbacks.open_tasks,
        "webhooks_answered": webhooks.answered,
        "webhooks_refused": webhooks.refused,
        "webhooks_lost": webhooks.lost,
    }


@router.delete("/messages")
async def reset(simulator: Sim) -> dict[str, int]:
    """Forget every message, opt-out, count and fault."""
    return {"deleted": await simulator.reset()}


@router.post("/inbound")
async def send_inbound(text: InboundRequest, simulator: Sim) -> dict[str, str | int | None]:
    """Text the application from a handset; returns what its webhook answered."""
    message, webhook_status = await simulator.receive(
        InboundText(
            from_number=text.sender,
            to=text.to,
            body=text.body,
            media_urls=tuple(text.media_urls),
            messaging_service_sid=text.messaging_service_sid,
            opt_out_type=text.opt_out_type,
            deliver=text.deliver,
        )
    )
    return {"sid": message.sid, "webhook_status": webhook_status}


@router.get("/behaviour")
async def show_behaviour(simulator: Sim) -> Behaviour:
    """Return the faults that are set."""
    return simulator.behaviour


@router.post("/behaviour")
async def change_behaviour(change: Behaviour, simulator: Sim) -> Behaviour:
    """Set the faults that are named and leave the others as they are."""
    simulator.behaviour = simulator.behaviour.changed_by(change)
    return simulator.behaviour


def control_document(message: Message) -> dict[str, object]:
    """Return a message with what Twilio would not show."""
    return {
        "number": message.number,
        "sid": message.sid,
        "body": message.body,
        "to": message.to,
        "from": message.from_number,
        "direction": message.direction,
        "status": message.status,
        "error_code": message.error_code,
        "media_urls": list(message.media_urls),
        "messaging_service_sid": message.messaging_service_sid,
        "status_callback": message.status_callback,
        "validity_period": message.validity_period,
        "date_created": message.date_created.isoformat(),
        "date_sent": message.date_sent.isoformat() if message.date_sent else None,
    }
