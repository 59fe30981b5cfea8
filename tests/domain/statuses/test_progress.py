"""The order of a message's states."""

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
def test_the_order_of_arrival_does_not_matter_for_the_last_word(
    words: list[MessageStatus], rng: object
) -> None:
    """Out of order, twice: the highest rank stands."""
    shuffled = list(words)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    ranks = {
        RANK[reduce(higher, order[1:], order[0])]
        for order in (words, shuffled, [*shuffled, *words])
    }
    assert ranks == {max(RANK[word] for word in words)}


@given(statuses)
def test_the_same_word_again_changes_nothing(word: MessageStatus) -> None:
    """A callback may come twice."""
    assert higher(word, word) is word
    assert higher(None, word) is word


def test_a_delivery_beats_every_failure_and_a_failure_all_before_it() -> None:
    """Between two last words the better one stands."""
    before_the_end = {MessageStatus.ACCEPTED, MessageStatus.QUEUED, MessageStatus.SENT}
    assert max(RANK[one] for one in before_the_end) < min(RANK[one] for one in FAILURES)
    assert max(RANK[one] for one in FAILURES) < min(RANK[one] for one in DELIVERIES)


def test_every_state_of_an_outbound_message_has_a_rank() -> None:
    assert set(RANK) == set(MessageStatus) - {MessageStatus.RECEIVED}


@pytest.mark.parametrize("word", TWILIO_WORDS)
def test_every_word_of_the_provider_is_read(word: str) -> None:
    """Facts, statuses: Twilio's words; ours never come from outside."""
    expected = {"sending": "queued", "partially_delivered": "sent"}.get(word, word)
    assert from_provider(word) == expected


@pytest.mark.parametrize("word", ["", "pending", "unknown", "refused", "exploded", "received"])
def test_an_unknown_word_says_no_more_than_accepted(word: str) -> None:
    """Facts, statuses: new words appear without notice; the message exists, that is all."""
    assert from_provider(word) is MessageStatus.ACCEPTED


def test_sent_is_not_delivered() -> None:
    """``sent`` as the provider's last word is not delivered."""
    assert MessageStatus.SENT not in DELIVERIES
    assert sorted(DELIVERIES) == ["delivered", "read"]
