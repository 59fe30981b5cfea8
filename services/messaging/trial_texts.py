"""Sending a step's text to oneself, to see how it arrives before anybody is enrolled."""

from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from domain.contacts.names import ContactName
from domain.platform.phones import normalize
from services.access.preferences import Preferences
from services.access.users import UserDetails
from services.contacts.contacts import Contacts
from services.enrollments.previews import Previews
from services.messaging.conversations import Conversations
from services.platform import rate_limits
from services.sequences.sequences import find
from storage.contacts import contacts
from storage.platform.database import Database

MARK = "[Test] "
"""How such a text begins, for whoever gets it and for whoever reads the conversation."""

PER_HOUR = 20
"""Most of these that one user may send in an hour."""

_REMEMBERED_AS = "test_phone"
_NAME_LENGTH = 100
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class TrialRecipient:
    """Who would get it.

    Attributes:
        phone: E.164.
        contact: Who has the number; None if a contact would be added.
        is_remembered: Whether the user sent their last one there.
    """

    phone: str
    contact: ContactName | None
    is_remembered: bool


class TrialTexts:
    """Sends texts of steps as one-off texts: nobody is enrolled, opt-outs are obeyed."""

    def __init__(
        self,
        database: Database,
        all_contacts: Contacts,
        conversations: Conversations,
        previews: Previews,
        preferences: Preferences,
        *,
        default_region: str,
    ) -> None:
        self._database = database
        self._contacts = all_contacts
        self._conversations = conversations
        self._previews = previews
        self._preferences = preferences
        self._region = default_region

    async def remembered(self, user_id: UUID) -> str:
        """Return the number that the user sent their last one to; empty before the first."""
        return str((await self._preferences.get(user_id, _REMEMBERED_AS)).get("phone", ""))

    async def recipient(self, user_id: UUID, phone: str) -> TrialRecipient:
        """Find who would get it.

        Raises:
            InvalidFieldError: ``invalid_phone``.
        """
        number = normalize(phone, default_region=self._region)
        async with self._database.transaction() as tx:
            contact_id = await contacts.id_of_phone(tx, number)
            found = None if contact_id is None else await contacts.get(tx, contact_id)
        contact = None if found is None else ContactName(found.id, found.name, found.phone)
        return TrialRecipient(number, contact, number == await self.remembered(user_id))

    async def send(
        self,
        message_id: UUID,
        sequence_id: UUID,
        user: UserDetails,
        phone: str,
        body: str,
        *,
        media_urls: Many[str] = (),
        as_contact: UUID | None = None,
    ) -> None:
        """Send a text as ``as_contact`` would get it, or a contact without any values.

        It goes out from the sequence's sender, once for each ``message_id``. A contact is added
        for a number that nobody has, called as the user.

        Raises:
            InvalidFieldError: ``invalid_phone``; a body that cannot be sent.
            InvalidRequestError: Pictures that cannot be sent.
            NotFoundError: There is no such sequence or contact.
            ConflictError: ``opted_out`` or ``landline``; nothing was added then.
            TooManyRequestsError: The user has sent too many in this hour.
        """
        number = normalize(phone, default_region=self._region)
        shown = await self._previews.text(body, contact_id=as_contact, media_urls=media_urls)
        key = f"trial_text:{user.id}"
        await rate_limits.take(self._database, key, 1, PER_HOUR, _HOUR)
        async with self._database.transaction() as tx:
            sequence = await find(tx, sequence_id, counted=False)
            contact_id = await contacts.id_of_phone(tx, number)
            if contact_id is None:
                name = user.name[:_NAME_LENGTH] or "Test"
                added = await self._contacts.create(
                    {"first_name": name, "phone": number}, within=tx
                )
                contact_id = added.id
            await self._conversations.reply(
                message_id,
                contact_id,
                f"{MARK}{shown.text}".strip(),
                user.id,
                sender_id=sequence.sender_id,
                media_urls=media_urls,
                within=tx,
            )
        await self._preferences.put(user.id, _REMEMBERED_AS, {"phone": number})
