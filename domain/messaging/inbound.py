"""What the provider tells us unasked: inbound texts and status reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True)
class InboundText:
    """A text that someone sent us.

    Attributes:
        sid: The provider's id of the text; a repeated one is the same text.
        phone: Who sent it, as the provider writes the number.
        messaging_service_sid: The Messaging Service it came through, if named.
        body: The text; empty with a photo alone.
        media_urls: Pictures, at the provider.
        opt_out_type: Twilio's ``OptOutType`` (STOP, START, HELP), if given.
        occurred_at: The provider's time, aware UTC; None: now, by the database's clock, which dates
            the attempts that a text is compared with.
        payload: All the provider sent, kept as evidence.
        fetched: From the provider's list, which may name no Messaging Service and never an
            ``OptOutType``, not from a webhook.
    """

    sid: str
    phone: str
    to: str
    messaging_service_sid: str | None
    body: str
    media_urls: tuple[str, ...]
    opt_out_type: str | None
    occurred_at: datetime | None
    payload: Mapping[str, str] = field(default_factory=dict)
    fetched: bool = False


@dataclass(frozen=True)
class StatusReport:
    """The provider's word on a message it accepted.

    Attributes:
        status: The provider's status word.
        attempt_id: Our attempt's id, from the callback's address.
        from_phone: The number the message went out from.
    """

    sid: str
    status: str
    error_code: int | None
    attempt_id: UUID | None
    from_phone: str | None
    payload: Mapping[str, str] = field(default_factory=dict)
