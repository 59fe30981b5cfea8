"""The data files of patterns: what is refused, and how patterns are put together."""

import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.platform.folding import folded
from domain.suppression.pattern_files import (
    AnyOf,
    PatternFile,
    PatternFileError,
    Phrases,
    beginnings,
    loaded,
    needed,
    whole_words,
)
from tests.domain.suppression.intent.corpora import MACHINES, WRITERS, rows

NAMES = "[names]\nme = '(me|us)'\nthem = '<me>|them'\n"


def patterns_of(entry: str, names: str = NAMES) -> list[str]:
    return PatternFile("test.toml", f"wanted = [{entry}]\n{names}").patterns("wanted")


def test_names_stand_for_their_patterns_and_arrays_for_alternatives() -> None:
    text_them, stop = patterns_of("'text <them>', ['stop', 'quit']")
    assert AnyOf([text_them]).fullmatch("text us")
    assert AnyOf([text_them]).fullmatch("text them")
    assert stop == "stop|quit"


def test_characters_beyond_ascii_are_folded() -> None:
    assert patterns_of("'Arr\u00eat'") == ["Arret"]


def test_whole_words_are_found_and_parts_of_words_are_not() -> None:
    stop = whole_words("stop", "quit")
    assert stop.search("please stop, ok")
    assert not stop.search("stopping by")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ("'stop', '(quit'", r"wanted\[1\]: missing \)"),
        ("'(?<!a+)b'", r"wanted\[0\]: look-behind requires fixed-width"),
        ("'text <you>'", r"wanted\[0\]: no name 'you'"),
        ("1", r"wanted\[0\] is no text"),
        ("''", r"wanted\[0\] is no text"),
        ("['stop', 1]", r"wanted\[0\] is no text"),
        ("[]", r"wanted\[0\] is no text"),
        ("", "wanted is no list of patterns"),
        ("'stop", "no TOML"),
    ],
)
def test_spoiled_file_is_refused_with_entry_and_reason(entry: str, reason: str) -> None:
    with pytest.raises(PatternFileError, match=f"test.toml: {reason}"):
        patterns_of(entry)


def test_missing_list_or_table_is_refused_by_name() -> None:
    with pytest.raises(PatternFileError, match=r"test\.toml: names is no table"):
        patterns_of("'stop'", names="")
    with pytest.raises(PatternFileError, match=r"test\.toml: doubts is no list of patterns"):
        PatternFile("test.toml", NAMES).patterns("doubts")


PHRASES = [
    pattern
    for name in ("requests", "bare_requests", "besides", "polite")
    for pattern in loaded("opt_out_phrases.toml").patterns(name)
]
SPELLINGS = list(loaded("opt_out_phrases.toml").table("spellings"))


@pytest.mark.parametrize(
    ("pattern", "begun"),
    [
        ("stop", {"stop"}),
        ("(i )?dont", {"i do", "dont"}),
        ("[ab]c", {"ac", "bc"}),
        ("(?<!x)o+k", {"o"}),
        (r"\w+ing", {""}),
        ("(a|bc|)x", {"ax", "bcx", "x"}),
        ("a*", {"a", ""}),
    ],
)
def test_what_matches_begin_with(pattern: str, begun: set[str]) -> None:
    assert beginnings(pattern) == begun


@given(st.data())
@settings(max_examples=2 * (settings.default or settings()).max_examples)
def test_every_match_begins_as_its_pattern_is_filed(data: st.DataObject) -> None:
    pattern = data.draw(st.sampled_from(PHRASES + SPELLINGS))
    text = data.draw(st.from_regex(pattern, fullmatch=True))
    assert any(text.startswith(begun) for begun in begun_with(pattern))


begun_with = cache(beginnings)


@cache
def training() -> list[str]:
    """Fold the texts when they are wanted: every worker imports this module."""
    texts = (text for paths in WRITERS.values() for path in paths for _, text in rows(path))
    return [folded(text) for text in texts if text]


@pytest.mark.parametrize(
    ("pattern", "needs"),
    [
        ("stop", {"stop"}),
        (r"\b(i )?dont\b", {"dont"}),
        ("(reply|text) [a-z]+", {"reply", "text"}),
        ("(reply|[0-9]) yes", {" yes"}),
        ("(reply|[0-9])", set()),
        ("(stop)+now", {"stop"}),
        ("(stop)*", set()),
        ("(?!stop)go", {"go"}),
        ("[ab]c?", set()),
    ],
)
def test_what_matches_need(pattern: str, needs: set[str]) -> None:
    assert needed(pattern) == needs


MARKS = [
    pattern
    for name in ("reactions", "auto_replies", "canned", "answers", "removals", "marks", "personal")
    for pattern in loaded("machine_marks.toml").patterns(name)
]


def test_texts_in_which_a_pattern_is_found_have_what_it_needs() -> None:
    texts = [folded(text) for _, text in rows(MACHINES)]
    found = 0
    for pattern in MARKS:
        search, needs = re.compile(pattern).search, needed(pattern)
        matching = [text for text in texts if search(text)]
        assert not needs or all(any(one in text for one in needs) for text in matching), pattern
        found += bool(needs and matching)
    assert found > 50


TRAINING = st.deferred(lambda: st.sampled_from(training()))


@pytest.fixture(scope="module")
def each() -> list[re.Pattern[str]]:
    return [whole_words(pattern) for pattern in PHRASES]


@pytest.fixture(scope="module")
def longest() -> Phrases:
    return Phrases(PHRASES)


@given(TRAINING, TRAINING)
def test_longest_phrase_is_that_of_all_patterns(
    longest: Phrases, each: list[re.Pattern[str]], one: str, other: str
) -> None:
    text = f"{one} {other}"
    for start in range(len(text)):
        ends = [found.end() if (found := pattern.match(text, start)) else start for pattern in each]
        expected = (ends.index(max(ends)), max(ends)) if max(ends) > start else None
        assert longest.longest(text, start) == expected


@pytest.fixture(scope="module")
def spelled() -> tuple[Phrases, list[re.Pattern[str]]]:
    return Phrases(SPELLINGS), [whole_words(pattern) for pattern in SPELLINGS]


@given(TRAINING)
def test_pattern_that_is_not_possible_is_not_there(
    spelled: tuple[Phrases, list[re.Pattern[str]]], text: str
) -> None:
    phrases, each = spelled
    possible = phrases.possible(text)
    for place, pattern in enumerate(each):
        assert place in possible or not pattern.search(text)
