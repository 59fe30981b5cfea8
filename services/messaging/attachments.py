"""Pictures and other files that came with inbound texts, which stay at the provider."""

from uuid import UUID

from domain.messaging.ports import Attachment, Gateway
from domain.platform.errors import required
from storage.messaging import conversations
from storage.platform.database import Database


class Attachments:
    """Fetches files of inbound texts from the provider, for whoever may read the texts."""

    def __init__(self, database: Database, gateway: Gateway) -> None:
        self._database = database
        self._gateway = gateway

    async def get(self, message_id: UUID, number: int) -> Attachment:
        """Fetch the file of an inbound text with this number, from 1.

        Raises:
            NotFoundError: The text has none, or the provider no longer has it, or not that small.
            ProviderUnavailableError: It could not be had now.
        """
        async with self._database.transaction() as tx:
            url = await conversations.inbound_media(tx, message_id, number)
        found = await self._gateway.attachment(url) if url else None
        return required(found, "picture", f"{message_id}/{number}")
