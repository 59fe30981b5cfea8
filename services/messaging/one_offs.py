"""One-off texts, which a person writes: whom they may go to, and their rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

from domain.platform.errors import InvalidFieldError
from domain.sequences.texts import merge_values, missing, render
from domain.statuses.contacts import LineType
from domain.statuses.messaging import Direction, MessageStatus
from storage.messaging.recipients import Recipient


def refusal(recipient: Recipient) -> Literal["opted_out", "landline"] | None:
    """Tell why a contact may not be texted, if so; opted out goes before landline."""
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
    media_urls: Sequence[str] = (),
    send_at: datetime | None = None,
) -> dict[str, Any]:
    """Build the row of a text to a contact, its merge fields filled in.

    One to be sent later waits as a text waits that is to be tried again.

    Raises:
        InvalidFieldError: ``empty_body``: nothing is left where a name is missing;
            ``missing_data``: it says a field or variable that is blank.
    """
    to, name = recipient, (recipient.first_name, recipient.last_name)
    values = merge_values(*name, to.phone, to.fields, to.variables)
    text = render(body, values)
    if not text.strip() and not media_urls:
        raise InvalidFieldError(
            "body",
            "would be empty where a name is missing; add a fallback, like {{first_name|there}}",
            code="empty_body",
        )
    if blank := missing(body, values, has_media=bool(media_urls)):
        raise InvalidFieldError(
            "body",
            f"says {{{{{blank[0]}}}}}, which is blank for the contact; check its spelling, fill it"
            f" in, or add a fallback, like {{{{{blank[0]}|something}}}}",
            code="missing_data",
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
        "media_urls": list(media_urls),
        "status": MessageStatus.PENDING,
        "send_at": send_at,
        "next_try_at": send_at,
    }
