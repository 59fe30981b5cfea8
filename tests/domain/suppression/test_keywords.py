"""Keywords: who wants out, who wants in, who answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.statuses.suppression import TextMeaning
from domain.suppression.keywords import (
    ANSWER_WORDS,
    HELP_WORDS,
    OPT_IN_WORDS,
    OPT_OUT_WORDS,
    Reading,
    normalize,
    read,
)
from domain.suppression.opt_out_intent import Intent

ALL_WORDS = OPT_OUT_WORDS | OPT_IN_WORDS | HELP_WORDS
SURROUNDINGS = st.text(alphabet=" \t\n.,!?\"'*_()-\u2014\u200b\u00a0\U0001f6d1\U0001f44d\ufe0f")


@pytest.mark.parametrize(
    "body",
    [
        *("STOP", "stopall", "Unsubscribe", "CANCEL", "end", "Quit", "revoke", "OPTOUT"),
        *("Opt-out.", "OPT OUT", "stop all", "Stop!", " stop\n", '"STOP"', "opt\u2011out"),
        *("ST\u00d3P", "s t o p", "STOP \U0001f6d1", "\uff33\uff34\uff2f\uff30", "*stop*"),
        *("st\u200bop", "opt \u2013 out", "...quit...", "Stop\u00a0all", "S.T.O.P.", "stop. all."),
        *("S-T-O-P", "opt_out", "STOP!?", "s*t*o*p", "'Stop'"),
    ],
)
def test_opt_out_word_alone_opts_out(body: str) -> None:
    """Not a reply."""
    assert read(body) == Reading(TextMeaning.OPT_OUT, may_be_reply=False)


@pytest.mark.parametrize(
    "body",
    [
        *("stopping", "the end", "end of the week", "cancel my appointment", "when do I start?"),
        *("", "  ", "\U0001f44d", "ok", "yes please", "starting", "no", "2", "help me"),
        *("unstoppable", "informed", "yes/no"),
    ],
)
def test_other_text_is_a_reply(body: str) -> None:
    """A reply."""
    assert read(body) == Reading(None, may_be_reply=True)


def test_misspelled_keyword_is_a_reply_to_review() -> None:
    assert read("stop2") == Reading(None, may_be_reply=True, intent=Intent.UNSURE)


@pytest.mark.parametrize("body", ["START", "unstop", "Un-Stop!", " start "])
def test_start_and_unstop_opt_in_and_are_no_reply(body: str) -> None:
    """START and UNSTOP are neither reply nor end."""
    assert read(body) == Reading(TextMeaning.OPT_IN, may_be_reply=False)


@pytest.mark.parametrize("body", ["YES", "yes", "Yes!", "yes \U0001f44d"])
def test_yes_opts_in_or_is_a_reply(body: str) -> None:
    """From an unsuppressed number YES is a reply."""
    assert read(body) == Reading(TextMeaning.OPT_IN, may_be_reply=True)


def test_yes_that_the_provider_marks_as_opt_in_may_be_a_reply() -> None:
    """From an unsuppressed number YES is a reply."""
    assert read("YES", "START") == Reading(TextMeaning.OPT_IN, may_be_reply=True)
    assert read("START", "START") == Reading(TextMeaning.OPT_IN, may_be_reply=False)


@pytest.mark.parametrize("body", ["HELP", "info", "Help?", "INFO."])
def test_help_words_are_neither_reply_nor_end(body: str) -> None:
    """Neither reply nor end."""
    assert read(body) == Reading(TextMeaning.HELP, may_be_reply=False)


@pytest.mark.parametrize(
    ("opt_out_type", "keyword"),
    [
        ("STOP", TextMeaning.OPT_OUT),
        ("stop", TextMeaning.OPT_OUT),
        ("Start", TextMeaning.OPT_IN),
        (" HELP ", TextMeaning.HELP),
    ],
)
@pytest.mark.parametrize("body", ["alto", "HELP", "STOP", "no quiero m\u00e1s", ""])
def test_provider_opt_out_type_comes_before_the_text(
    opt_out_type: str, keyword: TextMeaning, body: str
) -> None:
    assert read(body, opt_out_type) == Reading(keyword, may_be_reply=False)


@pytest.mark.parametrize("opt_out_type", ["", "  ", "SOMETHING", None])
def test_unknown_opt_out_type_leaves_the_text_to_decide(opt_out_type: str | None) -> None:
    assert read("STOP", opt_out_type).keyword is TextMeaning.OPT_OUT
    assert read("hello", opt_out_type) == Reading(None, may_be_reply=True)


def test_keyword_lists_are_disjoint() -> None:
    assert len(ALL_WORDS) == len(OPT_OUT_WORDS) + len(OPT_IN_WORDS) + len(HELP_WORDS)
    assert ANSWER_WORDS <= OPT_IN_WORDS


@given(st.sampled_from(sorted(ALL_WORDS)), SURROUNDINGS, SURROUNDINGS, st.data())
def test_case_and_surroundings_make_no_difference(
    word: str, before: str, after: str, data: st.DataObject
) -> None:
    upper = data.draw(st.lists(st.booleans(), min_size=len(word), max_size=len(word)))
    body = "".join(char.upper() if up else char for char, up in zip(word, upper, strict=True))
    assert read(before + body + after) == read(word)


@given(st.sampled_from(sorted(ALL_WORDS)), st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True))
def test_keyword_with_more_after_it_is_none(word: str, more: str) -> None:
    if word + more not in ALL_WORDS:
        assert read(f"{word} {more}").keyword is None


ACCENTS = st.text(alphabet="\u0300\u0301\u0302\u0303\u0308\u030a\u0327", max_size=2)
BETWEEN = st.text(alphabet=" .-_'\u2013\u200d", max_size=2)


@given(st.sampled_from(sorted(ALL_WORDS)), st.data())
def test_accents_and_punctuation_inside_make_no_difference(word: str, data: st.DataObject) -> None:
    body = "".join(char + data.draw(ACCENTS) + data.draw(BETWEEN) for char in word)
    assert read(body) == read(word)


@given(st.text())
def test_normalizing_twice_changes_nothing(body: str) -> None:
    once = normalize(body)
    assert normalize(once) == once


@given(st.text())
def test_only_text_without_a_keyword_has_an_intent(body: str) -> None:
    reading = read(body)
    assert reading.keyword is None or reading.intent is None
    assert reading.keyword is not None or reading.may_be_reply is (
        reading.intent is not Intent.OPT_OUT
    )
