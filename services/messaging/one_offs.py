"""Texts that a person writes outside any step: who gets none, and what is written down."""

from typing import Any, Protocol
from uuid import UUID, uuid4

from domain.platform.errors import InvalidFieldError
from domain.sequences.texts import merge_values, render
from domain.statuses.contacts import LineType
from domain.statuses.messaging import Direction, MessageStatus


class Recipient(Protocol):
    """A contact to text through a sender, and what decides whether it may be."""

    @property
    def contact_id(self) -> UUID:
        """Who."""
        ...

    @property
    def first_name(self) -> str:
        """May be empty."""
        ...

    @property
    def last_name(self) -> str:
        """May be empty."""
        ...

    @property
    def phone(self) -> str:
        """E.164."""
        ...

    @property
    def line_type(self) -> LineType | None:
        """If known."""
        ...

    @property
    def sender_id(self) -> UUID:
        """Where the text goes out from."""
        ...

    @property
    def opted_out(self) -> bool:
        """The number stands suppressed, for everyone or for this sender."""
        ...


def refusal(recipient: Recipient) -> str | None:
    """Say why somebody is not texted, if so; opted out wins over landline."""
    if recipient.opted_out:
        return "opted_out"
    return "landline" if recipient.line_type is LineType.LANDLINE else None


def message(
    recipient: Recipient,
    body: str,
    user_id: UUID,
    *,
    enrollment_id: UUID | None = None,
    message_id: UUID | None = None,
) -> dict[str, Any]:
    """Give the row of a text to a contact, its merge fields filled in.

    Raises:
        InvalidFieldError: ``empty_body``: nothing is left where a name is missing.
    """
    text = render(body, merge_values(recipient.first_name, recipient.last_name, recipient.phone))
    if not text.strip():
        raise InvalidFieldError(
            "body",
            "leaves nothing to send where a name is missing; give a fallback, like"
            " {{first_name|there}}",
            code="empty_body",
        )
    return {
        "id": message_id or uuid4(),
        "direction": Direction.OUTBOUND,
        "contact_id": recipient.contact_id,
        "phone": recipient.phone,
        "sender_id": recipient.sender_id,
        "enrollment_id": enrollment_id,
        "user_id": user_id,
        "body": text,
        "status": MessageStatus.PENDING,
    }
