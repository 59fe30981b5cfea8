"""The data files of patterns: what is refused, and how patterns are put together."""

import pytest

from domain.suppression.pattern_files import PatternFile, PatternFileError, any_of, whole_words

NAMES = "[names]\nme = '(me|us)'\nthem = '<me>|them'\n"


def patterns_of(entry: str, names: str = NAMES) -> list[str]:
    return PatternFile("test.toml", f"wanted = [{entry}]\n{names}").patterns("wanted")


def test_names_stand_for_their_patterns_and_arrays_for_alternatives() -> None:
    text_them, stop = patterns_of("'text <them>', ['stop', 'quit']")
    assert any_of([text_them]).fullmatch("text us")
    assert any_of([text_them]).fullmatch("text them")
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
