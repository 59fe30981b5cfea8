"""Messages as Twilio keeps them, and their store."""

from base64 import b64decode
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from mimetypes import guess_type
from uuid import UUID, uuid5

from simulator.errors import error_text
from simulator.habits import Habit

API_VERSION = "2010-04-01"
_NOT_YET_SENT = frozenset({"accepted", "queued"})


def now() -> datetime:
    """Return the current time in whole seconds, as Twilio shows it."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(slots=True)
class Message:
    """One text, inbound or outbound.

    Attributes:
        number: Its position in order of creation, from 1.
        from_number: None until a Messaging Service has chosen a number.
        direction: ``outbound-api`` or ``inbound``.
        num_segments: 0 until a Messaging Service has chosen a number.
        status_callback: Shown by the control API only.
    """

    number: int
    sid: str
    to: str
    from_number: str | None
    body: str
    direction: str
    status: str
    date_created: datetime
    date_updated: datetime
    messaging_service_sid: str | None = None
    media_urls: tuple[str, ...] = ()
    num_segments: int = 0
    status_callback: str | None = None
    validity_period: int | None = None
    date_sent: datetime | None = None
    error_code: int | None = None

    @property
    def is_inbound(self) -> bool:
        """Whether the text came from a handset."""
        return self.direction == "inbound"

    @property
    def handset(self) -> str:
        """The person's number, whichever way the text went."""
        return (self.from_number or "") if self.is_inbound else self.to

    def move(self, status: str, error_code: int | None) -> None:
        """Change the status; the sent date is set when the message first leaves the queue."""
        self.status = status
        self.error_code = error_code
        self.date_updated = now()
        if self.date_sent is None and status not in _NOT_YET_SENT:
            self.date_sent = self.date_updated

    def resource(self, account_sid: str, habit: Habit | None = None) -> dict[str, object]:
        """Return the message as the REST API shows it."""
        habit = None if self.is_inbound else habit
        uri = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{self.sid}"
        return {
            "account_sid": account_sid,
            "api_version": API_VERSION,
            "body": habit.body(self.body) if habit else self.body,
            "date_created": format_datetime(self.date_created),
            "date_sent": format_datetime(self.date_sent) if self.date_sent else None,
            "date_updated": format_datetime(self.date_updated),
            "direction": self.direction,
            "error_code": self.error_code,
            "error_message": error_text(self.error_code) if self.error_code else None,
            "from": self.from_number,
            "messaging_service_sid": self.messaging_service_sid,
            "num_media": str(len(self.media_urls)),
            "num_segments": str(self.num_segments),
            "price": None,
            "price_unit": "USD",
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": habit.recipient(self.to) if habit else self.to,
            "uri": f"{uri}.json",
        }

    def webhook_fields(self, account_sid: str) -> dict[str, str]:
        """Return the form fields that webhooks of texts and of statuses have in common."""
        fields = {
            "AccountSid": account_sid,
            "ApiVersion": API_VERSION,
            "From": self.from_number or "",
            "MessageSid": self.sid,
            "SmsSid": self.sid,
            "SmsStatus": self.status,
            "To": self.to,
        }
        if self.messaging_service_sid is not None:
            fields["MessagingServiceSid"] = self.messaging_service_sid
        return fields

    def media_sid(self, at: int) -> str:
        """Return the id of the picture at a position, from 0."""
        return "ME" + uuid5(UUID(self.sid[2:]), str(at)).hex

    def media_resource(self, account_sid: str, at: int) -> dict[str, object]:
        """Return a picture as the REST API shows it."""
        return {
            "sid": self.media_sid(at),
            "account_sid": account_sid,
            "parent_sid": self.sid,
            "content_type": media_type(self.media_urls[at]),
            "date_created": format_datetime(self.date_created),
            "date_updated": format_datetime(self.date_updated),
            "uri": f"{self.media_path(account_sid, at)}.json",
        }

    def media_path(self, account_sid: str, at: int) -> str:
        """Return where the REST API has the picture at a position, from 0."""
        parent = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{self.sid}"
        return f"{parent}/Media/{self.media_sid(at)}"


def is_kept_here(url: str) -> bool:
    """Whether an address holds the picture itself, in base64."""
    return url.startswith("data:")


def kept_picture(url: str) -> bytes:
    """Read a picture out of its address."""
    return b64decode(url.partition(",")[2])


def media_type(url: str) -> str:
    """Guess the content type of a picture from its address."""
    return guess_type(url)[0] or "image/jpeg"


@dataclass(frozen=True)
class MessageFilter:
    """Filters of a list; a message that was not sent yet matches no sent date.

    Attributes:
        sent_from: Included; ``sent_until`` is excluded.
        created_until: The latest creation that a lagging list shows.
    """

    to: str | None = None
    from_number: str | None = None
    sent_from: datetime | None = None
    sent_until: datetime | None = None
    created_until: datetime | None = None
    inbound_only: bool = False

    def matches(self, message: Message) -> bool:
        """Whether a message passes the filters."""
        sent = message.date_sent
        return (
            self.to in {None, message.to}
            and self.from_number in {None, message.from_number}
            and (self.created_until is None or message.date_created <= self.created_until)
            and (message.is_inbound or not self.inbound_only)
            and (self.sent_from is None or (sent is not None and sent >= self.sent_from))
            and (self.sent_until is None or (sent is not None and sent < self.sent_until))
        )


class MessageStore:
    """The account's messages, up to a limit; a new one beyond it replaces the oldest."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next = 1
        self._oldest = 1
        self._by_number: dict[int, Message] = {}
        self._by_sid: dict[str, Message] = {}
        self._by_to: dict[str, deque[Message]] = {}
        self._by_handset: dict[str, deque[Message]] = {}

    def __len__(self) -> int:
        """Return the number of messages kept."""
        return len(self._by_number)

    def take_number(self) -> int:
        """Take the next number."""
        self._next += 1
        return self._next - 1

    def add(self, message: Message) -> None:
        """Add a message whose number was just taken."""
        if len(self._by_number) >= self._limit:
            self._forget_oldest()
        self._by_number[message.number] = message
        self._by_sid[message.sid] = message
        self._by_to.setdefault(message.to, deque()).append(message)
        texts = self._by_handset.pop(message.handset, None) or deque()
        texts.append(message)
        self._by_handset[message.handset] = texts

    def get(self, sid: str) -> Message | None:
        """Return the message with an id."""
        return self._by_sid.get(sid)

    def newest_first(self, to: str | None = None, below: int | None = None) -> Iterator[Message]:
        """Iterate from the newest message, or from before number ``below``, to the oldest."""
        if to is not None:
            for message in reversed(self._by_to.get(to, ())):
                if below is None or message.number < below:
                    yield message
            return
        start = self._next if below is None else below
        for number in range(start - 1, self._oldest - 1, -1):
            yield self._by_number[number]

    def oldest_first(self, after: int = 0) -> Iterator[Message]:
        """Iterate from the message after number ``after`` to the newest."""
        for number in range(max(after + 1, self._oldest), self._next):
            yield self._by_number[number]

    def handsets(self) -> Iterator[Message]:
        """Return the last text of every handset, most recent first."""
        for texts in reversed(self._by_handset.values()):
            yield texts[-1]

    def conversation(self, handset: str) -> list[Message]:
        """Return all texts of one handset, oldest first."""
        return list(self._by_handset.get(handset, ()))

    def clear(self) -> int:
        """Delete every message and return their count; the numbering goes on."""
        count = len(self._by_number)
        self._by_number.clear()
        self._by_sid.clear()
        self._by_to.clear()
        self._by_handset.clear()
        self._oldest = self._next
        return count

    def _forget_oldest(self) -> None:
        message = self._by_number.pop(self._oldest)
        self._oldest += 1
        del self._by_sid[message.sid]
        for index, key in ((self._by_to, message.to), (self._by_handset, message.handset)):
            index[key].popleft()
            if not index[key]:
                del index[key]
