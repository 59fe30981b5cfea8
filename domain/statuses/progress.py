"""The order of a message's states: they only move up."""

from collections.abc import Mapping

from domain.statuses.messaging import MessageStatus

RANK: Mapping[MessageStatus, int] = {
    MessageStatus.PENDING: 0,
    MessageStatus.SENDING: 0,
    MessageStatus.UNKNOWN: 0,
    MessageStatus.REFUSED: 0,
    MessageStatus.ACCEPTED: 1,
    MessageStatus.SCHEDULED: 1,
    MessageStatus.QUEUED: 2,
    MessageStatus.SENT: 3,
    MessageStatus.CANCELED: 4,
    MessageStatus.FAILED: 5,
    MessageStatus.UNDELIVERED: 6,
    MessageStatus.DELIVERED: 7,
    MessageStatus.READ: 8,
}
"""Twilio promises no order of callbacks; between two last words the better one stands."""

_PROVIDER_WORDS: Mapping[str, MessageStatus] = {
    **{status.value: status for status in RANK if RANK[status] > 0},
    "sending": MessageStatus.QUEUED,
    "partially_delivered": MessageStatus.SENT,
}

FAILURES = frozenset({MessageStatus.FAILED, MessageStatus.UNDELIVERED, MessageStatus.CANCELED})
DELIVERIES = frozenset({MessageStatus.DELIVERED, MessageStatus.READ})


def from_provider(word: str) -> MessageStatus:
    """Read the provider's status word; an unknown one says no more than ``accepted``."""
    return _PROVIDER_WORDS.get(word, MessageStatus.ACCEPTED)


def higher(old: MessageStatus | None, new: MessageStatus) -> MessageStatus:
    """The higher of two states of one attempt."""
    if old is None or RANK[new] > RANK[old]:
        return new
    return old
