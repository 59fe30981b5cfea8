"""The texts of steps: validation and merge fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.platform.errors import InvalidFieldError
from domain.sequences.texts import MAX_CHARACTERS, MERGE_FIELDS, check_body, render


@pytest.mark.parametrize(
    "body",
    [
        "Hello",
        "Hi {{first_name}}, ok",
        "Hi {{ first_name | there }}",
        "{{first_name|}}",
        "{{full_name}} {{last_name}} {{phone}}",
        "{ braces } of { any } kind | and pipes",
        "a" * 1600,
    ],
)
def test_valid_body_passes(body: str) -> None:
    check_body(body, field="steps.0.body")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "empty_body"),
        (" \n\t", "empty_body"),
        ("a" * 1601, "body_too_long"),
        ("Hi {{name}}", "unknown_merge_field"),
        ("Hi {{First_Name}}", "unknown_merge_field"),
        ("Hi {{first name|x}}", "unknown_merge_field"),
        ("Hi {{}}", "bad_merge_field"),
        ("Hi {{ | there}}", "bad_merge_field"),
        ("Hi {{first_name", "bad_merge_field"),
        ("Hi {{first_name}", "bad_merge_field"),
        ("Hi first_name}}", "bad_merge_field"),
        ("Hi {{{first_name}}}", "bad_merge_field"),
        ("Hi {{first_name|{{last_name}}}}", "bad_merge_field"),
        ("Hi {{first_name {{last_name}}", "bad_merge_field"),
        ("Hi\0there", "bad_character"),
    ],
)
def test_invalid_body_is_refused(body: str, code: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_body(body, field="steps.1.body")
    assert caught.value.field == "steps.1.body"
    assert caught.value.field_code == code


def test_unknown_merge_field_error_lists_known_ones() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_body("Hi {{nickname}}", field="body")
    assert "{{nickname}}" in caught.value.reason
    assert all(f"{{{{{name}}}}}" in caught.value.reason for name in MERGE_FIELDS)


def test_body_may_be_empty_with_media() -> None:
    check_body("", field="body", has_media=True)
    with pytest.raises(InvalidFieldError):
        check_body("{{oops", field="body", has_media=True)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Hi {{first_name}}, ok", "Hi Ann, ok"),
        ("Hi {{ first_name | there }}!", "Hi Ann!"),
        ("{{first_name}}{{last_name|Doe}}", "AnnDoe"),
        ("Hi {{last_name|dear friend}}", "Hi dear friend"),
        ("{not} a | field", "{not} a | field"),
    ],
)
def test_merge_field_uses_value_or_fallback(body: str, expected: str) -> None:
    assert render(body, {"first_name": "Ann", "last_name": " "}) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Hi {{first_name}}, ok", "Hi, ok"),
        ("Hi {{first_name}} {{last_name}}, ok", "Hi, ok"),
        ("Hi {{first_name}}!", "Hi!"),
        ("Hi {{first_name}} how are you", "Hi how are you"),
        ("{{first_name}}, your table is ready", "your table is ready"),
        ("{{first_name}} hello", "hello"),
        ("Hello {{first_name}}", "Hello"),
        ("Hello {{first_name}}\nNext  line", "Hello\nNext  line"),
        ("One\n{{first_name}}, two", "One\ntwo"),
        ("Hi {{first_name}} :)", "Hi :)"),
        ("Names: {{first_name}}: end", "Names:: end"),
        ("(for {{first_name}})", "(for)"),
        ("({{first_name}} here)", "(here)"),
        ("a{{first_name}}b", "ab"),
        ("kept  double {{first_name}} blanks , elsewhere", "kept  double blanks , elsewhere"),
        ("{{first_name}}", ""),
    ],
)
def test_empty_merge_field_leaves_no_gap(body: str, expected: str) -> None:
    assert render(body, {}) == expected
    assert render(body, {"first_name": None, "last_name": ""}) == expected


def test_merge_values_are_inserted_literally() -> None:
    values = {"first_name": "{{last_name}}", "last_name": "\\1 \\g<0> {{phone|x}}"}
    assert render("{{first_name}} {{last_name}}", values) == (
        "{{last_name}} \\1 \\g<0> {{phone|x}}"
    )


def test_merge_values_stay_on_one_line() -> None:
    assert render("Hi {{first_name}}.", {"first_name": " A\nn\0n\u2028e\r"}) == "Hi A n n e."


def test_rendered_text_is_cut_to_the_maximum() -> None:
    text = render("{{first_name}}" + "a" * 1500, {"first_name": "b" * 200})
    assert len(text) == MAX_CHARACTERS


@pytest.mark.parametrize(
    "cluster",
    ["e\u0301", "\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f4bb", "\u2764\ufe0f"],
)
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_cut_splits_no_grapheme(cluster: str, shift: int) -> None:
    text = render("{{first_name}}", {"first_name": "a" * shift + cluster * MAX_CHARACTERS})
    assert MAX_CHARACTERS - 3 <= len(text) <= MAX_CHARACTERS
    assert (len(text) - shift) % len(cluster) == 0


LITERALS = st.text(alphabet="ab ,.!\n", max_size=12)
FIELDS = st.sampled_from([f"{{{{{name}}}}}" for name in MERGE_FIELDS])


@given(st.lists(st.one_of(LITERALS, FIELDS), max_size=12), st.text(min_size=1, max_size=9))
def test_rendered_text_has_no_braces_or_controls(parts: list[str], value: str) -> None:
    body = "".join(parts)
    try:
        check_body(body, field="body")
    except InvalidFieldError:
        return
    for values in ({}, dict.fromkeys(MERGE_FIELDS, value)):
        text = render(body, values)
        assert "\0" not in text
        assert len(text) <= MAX_CHARACTERS
        if "{" not in value and "}" not in value:
            assert "{{" not in text


@given(st.text(), st.text())
def test_check_body_handles_any_text(body: str, value: str) -> None:
    assert len(render(body, {"first_name": value})) <= MAX_CHARACTERS


@given(st.lists(st.one_of(LITERALS, FIELDS), max_size=12))
def test_merging_changes_only_the_fields(parts: list[str]) -> None:
    values = dict.fromkeys(MERGE_FIELDS, "X")
    expected = "".join("X" if part.startswith("{{") else part for part in parts)
    assert render("".join(parts), values) == expected
