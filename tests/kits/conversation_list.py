"""Contacts who text us, and the list of conversations that shows them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.statuses.messaging import ConversationState
from storage.messaging.inbox import ConversationFilter
from tests.kits.inbound import receive
from tests.kits.sending import SendingKit


async def receive_text(
    kit: SendingKit,
    phone: str,
    body: str,
    media: tuple[str, ...] = (),
    *,
    at: datetime | None = None,
) -> None:
    """Receive a text from a number; ``at`` is the provider's time, now by default."""
    occurred_at = at or datetime.now(UTC)
    await receive(kit.services, phone, body, media_urls=media, occurred_at=occurred_at)


async def add_contact(kit: SendingKit, name: str, phone: str) -> UUID:
    """Write a contact with one name."""
    return (await kit.world.contacts(1, first_name=name, last_name="", phone=phone))[0]


async def listed_names(kit: SendingKit, *states: ConversationState, **filters: Any) -> list[str]:
    """List the names on the first page of conversations."""
    page = await kit.services.inbox.page(ConversationFilter(states=states, **filters))
    return [line.contact.name for line in page.items]
