"""Texts that come in, as the provider's webhook brings them."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from domain.messaging.inbound import InboundText
from services.factory import Services

OURS = "+14155550100"
"""The number of the sender that kits and examples have."""


def inbound_text(phone: str, body: str = "Hello", **facts: Any) -> InboundText:
    """Make a text from a number to ours; ``facts`` are what else an ``InboundText`` says."""
    usual: dict[str, Any] = {
        "sid": f"SM{uuid4().hex}",
        "to": OURS,
        "messaging_service_sid": None,
        "media_urls": (),
        "opt_out_type": None,
        "occurred_at": datetime.now(UTC),
    }
    return InboundText(phone=phone, body=body, **(usual | facts))


async def receive(services: Services, phone: str, body: str = "Hello", **facts: Any) -> InboundText:
    """Receive a text, made as ``inbound_text`` does."""
    text = inbound_text(phone, body, **facts)
    await services.inbound.receive(text)
    return text
