"""What the provider shows of a text, and whether it may be the one that was handed over."""

import pytest

from domain.messaging.absence import may_be_same_text, shows_as_sent
from simulator.habits import Habit

SENT = "It\u2019s time \u2013 \u201creally\u201d\u2026 see you at nine"
THEIRS = "+14155550123"


@pytest.mark.parametrize("shown", [SENT, f" {SENT}\n", Habit.TRIAL.body(SENT)])
def test_text_that_is_shown_with_what_the_provider_adds_may_be_ours(shown: str) -> None:
    assert may_be_same_text(SENT, shown)


def test_text_in_other_characters_may_be_ours() -> None:
    shown = Habit.SMART_ENCODING.body(SENT)
    assert shown != SENT
    assert may_be_same_text(SENT, shown)
    assert may_be_same_text(SENT, Habit.TRIAL.body(shown))


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (SENT, ""),
        (SENT, Habit.TRIAL.body("")),
        (SENT, f"{SENT} and more"),
        (SENT, f"You wrote: {SENT}"),
        ("\U0001f44d", ""),
        ("\U0001f44d", "\U0001f44e"),
        ("", "Hello"),
    ],
)
def test_other_text_is_none_that_may_be_ours(sent: str, shown: str) -> None:
    assert not may_be_same_text(sent, shown)


def test_picture_alone_may_be_one_without_words() -> None:
    assert may_be_same_text("", "")


@pytest.mark.parametrize("habit", list(Habit))
def test_every_habit_shows(habit: Habit) -> None:
    assert not shows_as_sent(habit.recipient(THEIRS), habit.body(SENT), THEIRS, SENT)


@pytest.mark.parametrize("shown", [(THEIRS, SENT), (THEIRS, f"{SENT} ")])
def test_account_without_a_habit_shows_what_was_sent(shown: tuple[str, str]) -> None:
    assert shows_as_sent(*shown, THEIRS, SENT)


def test_text_without_words_shows_as_none() -> None:
    assert shows_as_sent(THEIRS, None, THEIRS, "")


@pytest.mark.parametrize("number", [None, "+1415555XXXX", "+14155550124"])
def test_other_recipient_shows(number: str | None) -> None:
    assert not shows_as_sent(number, SENT, THEIRS, SENT)
