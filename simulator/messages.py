"""Messages as Twilio keeps them, and their store."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from mimetypes import guess_type
from uuid import UUID, uuid4, uuid5

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

    @property
    def sender_key(self) -> str:
        """The sender as the person sees it: the Messaging Service, else the number."""
        ours = self.to if self.is_inbound else self.from_number
        return self.messaging_service_sid or ours or ""

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

    def media_sid(self, at: int) -> str:
        """Return the id of the picture at a position, from 0."""
        return "ME" + uuid5(UUID(self.sid[2:]), str(at)).hex

    def media_resource(self, account_sid: str, at: int) -> dict[str, object]:
        """Return a picture as the REST API shows it."""
        sid = self.media_sid(at)
        parent = f"/{API_VERSION}/Accounts/{account_sid}/Messages/{self.sid}"
        return {
            "sid": sid,
            "account_sid": account_sid,
            "parent_sid": self.sid,
            "content_type": media_type(self.media_urls[at]),
            "date_created": format_datetime(self.date_created),
            "date_updated": format_datetime(self.date_updated),
            "uri": f"{parent}/Media/{sid}.json",
        }


def media_type(url: str) -> str:
    """Guess the content type of a picture from its address."""
    return guess_type(url)[0] or "image/jpeg"


def new_sid(media_urls: tuple[str, ...]) -> str:
    """Return a new message id; ids never repeat, even with the same seed."""
    return ("MM" if media_urls else "SM") + uuid4().hex


@dataclass(frozen=True)
class MessageFilter:
    """Filters of a list; a message that was not sent yet matches no sent date.

    Attributes:
        sent_from: The earliest sent date, included.
        sent_until: The end of the sent dates, excluded.
        created_until: The latest creation that a lagging list shows.
        inbound_only: Only texts from handsets.
    """

    to: str | None = None
    from_number: str | None = None
    sent_from: datetime | None = None
    sent_until: datetime | None = None
    created_until: datetime | None = None
    inbound_only: bool = False

    def matches(self, message: Message) -> bool:
        """Whether a message passes the filters."""
        if self.to is not None and message.to != self.to:
            return False
        if self.from_number is not None and message.from_number != self.from_number:
            return False
        if self.created_until is not None and message.date_created > self.created_until:
            return False
        if self.inbound_only and not message.is_inbound:
            return False
        return self._matches_sent(message.date_sent)

    def _matches_sent(self, sent: datetime | None) -> bool:
        if self.sent_from is None and self.sent_until is None:
            return True
        if sent is None or (self.sent_from is not None and sent < self.sent_from):
            return False
        return self.sent_until is None or sent < self.sent_until


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

    @property
    def newest_number(self) -> int:
        """The number of the newest message; never decreases."""
        return self._next - 1

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
