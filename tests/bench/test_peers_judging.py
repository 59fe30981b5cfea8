"""How a run of the peers is judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.peers.judging import GRACE_SECONDS, Judgment, Text, judge

BODIES = ("one", "two", "three")
ANN, BOB = "+12125550101", "+12125550102"


def _all_texts(phone: str, start: float = 0.0) -> list[Text]:
    return [Text(phone, body, start + number) for number, body in enumerate(BODIES)]


def test_everyone_with_every_text_once_is_well() -> None:
    texts = _all_texts(ANN) + _all_texts(BOB)

    assert judge(texts, {ANN, BOB}, {}, BODIES) == Judgment(twice=0, lost=0, after_reply=0)


def test_same_body_to_same_person_is_twice() -> None:
    texts = [*_all_texts(ANN), Text(ANN, "two", 9.0), Text(ANN, "two", 10.0)]

    assert judge(texts, {ANN}, {}, BODIES) == Judgment(twice=2, lost=0, after_reply=0)


def test_person_without_reply_and_without_last_text_is_lost() -> None:
    assert judge(_all_texts(ANN)[:2], {ANN, BOB}, {}, BODIES).lost == 2


def test_person_who_replied_is_not_lost() -> None:
    assert judge(_all_texts(ANN)[:1], {ANN}, {ANN: 0.5}, BODIES).lost == 0


@pytest.mark.parametrize(("late", "count"), [(GRACE_SECONDS, 0), (GRACE_SECONDS + 0.1, 1)])
def test_text_after_a_reply_counts_after_the_grace(late: float, count: int) -> None:
    texts = [Text(ANN, "one", 0.0), Text(ANN, "two", 5.0 + late)]

    assert judge(texts, {ANN}, {ANN: 5.0}, BODIES).after_reply == count


@pytest.mark.parametrize("text", [Text(ANN, "four", 0.0), Text(BOB, "one", 0.0)])
def test_unplanned_text_is_an_error(text: Text) -> None:
    with pytest.raises(ValueError, match="nobody planned"):
        judge([text], {ANN}, {}, BODIES)


@given(
    st.lists(
        st.tuples(st.sampled_from([ANN, BOB]), st.sampled_from(BODIES), st.floats(0, 100)),
        max_size=30,
    )
)
def test_every_text_is_either_needed_or_twice(sent: list[tuple[str, str, float]]) -> None:
    texts = [Text(*one) for one in sent]
    judgment = judge(texts, {ANN, BOB}, {}, BODIES)
    needed = {(text.phone, text.body) for text in texts}

    assert judgment.twice == len(texts) - len(needed)
    assert judgment.lost == sum(
        {body for phone, body in needed if phone == person} != set(BODIES) for person in (ANN, BOB)
    )
    assert judge(reversed(texts), {ANN, BOB}, {}, BODIES) == judgment
