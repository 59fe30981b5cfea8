"""Data of the handset page: senders, outcomes, readable numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.messages import Message

_CARRIED = frozenset({"sent", "delivered", "received", "read"})


@dataclass(frozen=True)
class Sender:
    """A sender that a handset can answer: its number, and its Messaging Service, if any."""

    number: str
    service_sid: str | None

    @property
    def value(self) -> str:
        """The sender as a value of a form field."""
        return f"{self.number} {self.service_sid or ''}".strip()

    @property
    def label(self) -> str:
        """The sender's label."""
        if self.service_sid is None:
            return pretty(self.number)
        return f"{pretty(self.number)} (service {self.service_sid[:6]}…{self.service_sid[-4:]})"


def read_sender(value: str) -> Sender:
    """Read a sender from the value of a form field."""
    number, _, service_sid = value.strip().partition(" ")
    return Sender(number, service_sid or None)


def senders_of(texts: Iterable[Message]) -> list[Sender]:
    """Return the senders a handset can answer, the most recent one first."""
    senders: dict[Sender, None] = {}
    for message in texts:
        number = message.to if message.is_inbound else message.from_number
        if number is not None:
            sender = Sender(number, message.messaging_service_sid)
            senders.pop(sender, None)
            senders[sender] = None
    return list(reversed(senders))


def outcome(message: Message) -> str:
    """Return a text's outcome, which sets its color: failed, arrived or pending."""
    if message.error_code is not None or message.status in {"failed", "undelivered"}:
        return "failed"
    return "arrived" if message.status in _CARRIED else "pending"


def pretty(number: str) -> str:
    """Group the digits of a North American number; return any other as it is."""
    if len(number) == 12 and number.startswith("+1"):
        return f"+1 {number[2:5]} {number[5:8]} {number[8:]}"
    return number
