"""The order of message states: reports only move them up."""

from functools import reduce
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.statuses.messaging import MessageStatus
from domain.statuses.progress import DELIVERIES, FAILURES, RANK, from_provider, higher

statuses = st.sampled_from(sorted(RANK))
TWILIO_WORDS = [
    "accepted",
    "scheduled",
    "queued",
    "sending",
    "sent",
    "delivered",
    "undelivered",
    "failed",
    "canceled",
    "read",
    "partially_delivered",
]


@given(st.lists(statuses, min_size=1))
def test_states_only_move_up(words: list[MessageStatus]) -> None:
    """A callback may come out of order; message states only move up."""
    states: list[MessageStatus | None] = [None]
    for word in words:
        states.append(higher(states[-1], word))
    ranks = [RANK[state] for state in states if state is not None]
    assert all(before <= after for before, after in pairwise(ranks))


@given(st.lists(statuses, min_size=1), st.randoms())
def test_final_state_does_not_depend_on_the_order_of_reports(
    words: list[MessageStatus], rng: object
) -> None:
    """Out of order or twice: the highest rank wins."""
    shuffled = list(words)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    ranks = {
        RANK[reduce(higher, order[1:], order[0])]
        for order in (words, shuffled, [*shuffled, *words])
    }
    assert ranks == {max(RANK[word] for word in words)}


@given(statuses)
def test_repeated_report_changes_nothing(word: MessageStatus) -> None:
    """A callback may come twice."""
    assert higher(word, word) is word
    assert higher(None, word) is word


def test_delivered_outranks_failures_and_failures_outrank_the_rest() -> None:
    """Of two final reports the better one wins."""
    before_the_end = {MessageStatus.ACCEPTED, MessageStatus.QUEUED, MessageStatus.SENT}
    assert max(RANK[one] for one in before_the_end) < min(RANK[one] for one in FAILURES)
    assert max(RANK[one] for one in FAILURES) < min(RANK[one] for one in DELIVERIES)


def test_every_state_of_an_outbound_message_has_a_rank() -> None:
    assert set(RANK) == set(MessageStatus) - {MessageStatus.RECEIVED}


@pytest.mark.parametrize("word", TWILIO_WORDS)
def test_every_provider_status_is_mapped(word: str) -> None:
    """Twilio's statuses map to ours; our own never come from outside."""
    expected = {"sending": "queued", "partially_delivered": "sent"}.get(word, word)
    assert from_provider(word) == expected


@pytest.mark.parametrize("word", ["", "pending", "unknown", "refused", "exploded", "received"])
def test_unknown_status_counts_as_accepted(word: str) -> None:
    """New statuses appear without notice; they prove only that the message exists."""
    assert from_provider(word) is MessageStatus.ACCEPTED


def test_sent_is_not_delivered() -> None:
    """``sent`` as the provider's last report is not delivered."""
    assert MessageStatus.SENT not in DELIVERIES
    assert sorted(DELIVERIES) == ["delivered", "read"]
