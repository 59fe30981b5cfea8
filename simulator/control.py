"""The control API under /_simulator; without authentication, for use on the same machine."""

from dataclasses import asdict
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query

from simulator.behavior import Behavior
from simulator.inbound import InboundText
from simulator.messages import Message
from simulator.rest import Sim
from simulator.state import counts_of

router = APIRouter(prefix="/_simulator")


@router.get("/messages")
async def list_all(
    simulator: Sim,
    to: str | None = None,
    after: int = 0,
    limit: Annotated[int, Query(ge=0)] = 200_000,
) -> dict[str, object]:
    """Return messages in order of creation, from after number ``after``.

    ``calls`` counts the creates requested for each number, ``created`` those that made a message.
    """
    found = (one for one in simulator.messages.oldest_first(after) if to in {None, one.to})
    return {
        "messages": [control_document(message) for message in islice(found, limit)],
        "created": counts_of(simulator.created, to),
        "calls": counts_of(simulator.calls, to),
    }


@router.get("/totals")
async def show_totals(simulator: Sim) -> dict[str, int]:
    """Return the number of messages kept and the results of the posts to the application.

    ``open`` counts messages and callbacks in progress.
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
    """Delete every message, opt-out, count and fault."""
    return {"deleted": await simulator.reset()}


@router.post("/inbound")
async def send_inbound(text: InboundText, simulator: Sim) -> dict[str, str | int | None]:
    """Text the application from a handset; return the status its webhook answered."""
    message, webhook_status = await simulator.receive(text)
    return {"sid": message.sid, "webhook_status": webhook_status}


@router.get("/behaviour")
async def show_behavior(simulator: Sim) -> Behavior:
    """Return the account's behavior."""
    return simulator.behavior


@router.post("/behaviour")
async def change_behavior(change: Behavior, simulator: Sim) -> Behavior:
    """Change the fields that are given."""
    simulator.behavior = simulator.behavior.changed_by(change)
    return simulator.behavior


def control_document(message: Message) -> dict[str, object]:
    """Return a message with the fields that Twilio would not show."""
    shown = asdict(message)
    del shown["num_segments"], shown["date_updated"]
    shown["from"] = shown.pop("from_number")
    for date in ("date_created", "date_sent"):
        shown[date] = shown[date] and shown[date].isoformat()
    return shown
