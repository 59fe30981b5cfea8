"""Sending a step's text to oneself, to see how it arrives before anybody is enrolled."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from domain.access.preferences import ADDED, Preference
from domain.contacts.names import ContactName, split_name
from domain.platform.phones import normalize
from domain.statuses.messaging import TEST_MARK
from services.access.preferences import Preferences
from services.access.users import UserDetails
from services.contacts.contacts import Contacts
from services.contacts.values import ContactFields
from services.enrollments.previews import Previews, Stranger, TextPreview
from services.messaging.conversations import Conversations
from services.platform import rate_limits
from services.sequences.sequences import find
from storage.access import preferences
from storage.contacts import contacts
from storage.messaging import conversations
from storage.platform.database import Database, Transaction

PER_HOUR = 20
"""Most of these that one user may send in an hour."""

_NAME_LENGTH = 100
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class TrialRecipient:
    """Who would get it.

    Attributes:
        phone: E.164.
        contact: Who has the number; None if a contact would be added.
        is_remembered: Whether the user sent their last one there, and it is still the same
            contact's number.
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

    async def remembered(self, user_id: UUID) -> TrialRecipient | None:
        """Find whom the user sent their last one to; None before the first."""
        last = await self._preferences.get(user_id, Preference.TEST_PHONE)
        return await self.recipient(user_id, last["phone"]) if last else None

    async def recipient(self, user_id: UUID, phone: str) -> TrialRecipient:
        """Find who would get it.

        Raises:
            InvalidFieldError: ``invalid_phone``.
        """
        number = normalize(phone, default_region=self._region)
        last = await self._preferences.get(user_id, Preference.TEST_PHONE)
        async with self._database.transaction() as tx:
            contact_id = await contacts.id_of_phone(tx, number)
            found = None if contact_id is None else await contacts.get(tx, contact_id)
        contact = None if found is None else ContactName(found.id, found.name, found.phone)
        is_remembered = _same(last, number, contact_id)
        return TrialRecipient(number, contact, is_remembered)

    async def preview(
        self,
        body: str,
        user: UserDetails,
        recipient: TrialRecipient | None = None,
        *,
        media_urls: Many[str] = (),
    ) -> TextPreview:
        """Show a text as the recipient would get it; without a contact, as the user would.

        Raises:
            InvalidFieldError: A body that cannot be sent.
        """
        if recipient is not None and recipient.contact is not None:
            return await self._shown(body, media_urls, contact_id=recipient.contact.id)
        stranger = _named(user, recipient.phone if recipient else "")
        return await self._shown(body, media_urls, stranger=stranger)

    async def send(
        self,
        message_id: UUID,
        sequence_id: UUID,
        user: UserDetails,
        phone: str,
        body: str,
        *,
        media_urls: Many[str] = (),
    ) -> None:
        """Send a text with the recipient's own values: nobody else's are told to them.

        It goes out from the sequence's sender, once for each ``message_id``. A contact is added
        for a number that nobody has, called as the user; pickers do not suggest that one.

        Raises:
            InvalidFieldError: ``invalid_phone``; a body that cannot be sent.
            InvalidRequestError: Pictures that cannot be sent.
            NotFoundError: There is no such sequence.
            ConflictError: ``opted_out`` or ``landline``; nothing was added then.
            TooManyRequestsError: The user has sent too many in this hour.
        """
        number = normalize(phone, default_region=self._region)
        async with self._database.transaction() as tx:
            sequence = await find(tx, sequence_id, counted=False)
            contact_id = await contacts.id_of_phone(tx, number)
            last = await preferences.get(tx, user.id, Preference.TEST_PHONE) or {}
            is_ours = _same(last, number, contact_id) and last.get(ADDED, False)
            if contact_id is None:
                named = _named(user, number)
                values: ContactFields = {
                    "first_name": named.first_name,
                    "last_name": named.last_name,
                    "phone": number,
                }
                added = await self._contacts.create(values, within=tx)
                contact_id, is_ours = added.id, True
            shown = await self._shown(body, media_urls, contact_id=contact_id, within=tx)
            if await conversations.text(tx, message_id) is None:
                # Here, so that what is refused or repeated does not count.
                await rate_limits.take(tx, f"trial_text:{user.id}", 1, PER_HOUR, _HOUR)
            await self._conversations.reply(
                message_id,
                contact_id,
                shown.text,
                user.id,
                sender_id=sequence.sender_id,
                media_urls=media_urls,
                within=tx,
            )
            agreed = {"phone": number, "contact_id": str(contact_id), ADDED: is_ours}
            await preferences.put(tx, user.id, Preference.TEST_PHONE, agreed)

    async def _shown(
        self,
        body: str,
        media_urls: Many[str],
        *,
        contact_id: UUID | None = None,
        stranger: Stranger | None = None,
        within: Transaction | None = None,
    ) -> TextPreview:
        marked = f"{TEST_MARK}{body}".strip() if body.strip() or media_urls else body
        return await self._previews.text(
            marked,
            contact_id=contact_id,
            stranger=stranger,
            media_urls=media_urls,
            within=within,
        )


def _named(user: UserDetails, phone: str) -> Stranger:
    """Give the contact that a test adds: called as the user."""
    first, last = split_name(user.name)
    return Stranger(first[:_NAME_LENGTH] or "Test", last[:_NAME_LENGTH], phone)


def _same(last: Mapping[str, Any], phone: str, contact_id: UUID | None) -> bool:
    """Tell whether a test last went to this number, when it was this contact's."""
    return (last.get("phone"), last.get("contact_id")) == (phone, str(contact_id))
