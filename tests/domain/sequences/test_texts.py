"""The texts of steps: validation and merge fields."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contacts import fields
from domain.platform.errors import InvalidFieldError
from domain.sequences import texts
from domain.sequences.texts import (
    DATE_FORMATS,
    MAX_CHARACTERS,
    MERGE_FIELDS,
    Merged,
    Value,
    check_body,
    half_filled,
    keys_in,
    merge_values,
    missing,
    outline,
    pieces,
    render,
)


@pytest.mark.parametrize(
    "body",
    [
        "Hello",
        "Hi {{first_name}}, ok",
        "Hi {{ first_name | there }}",
        "{{first_name|}}",
        "{{full_name}} {{last_name}} {{phone}}",
        "{{job_title}} at {{ start_date : weekday | soon }}",
        "{{phone2}} {{a}} {{name_of_dog}} {{last_visit}}",
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
        ("Hi {{firstname}}", "unknown_merge_field"),
        ("Hi {{frist_name|x}}", "unknown_merge_field"),
        ("Hi {{last_names}}", "unknown_merge_field"),
        ("Call {{fone}} {{phne}}", "unknown_merge_field"),
        ("As {{Job_Title}}", "unknown_merge_field"),
        ("As {{job title}}", "unknown_merge_field"),
        ("As {{2nd_job}}", "unknown_merge_field"),
        ("On {{start_date:}}", "unknown_format"),
        ("On {{start_date:weekly|soon}}", "unknown_format"),
        ("On {{:weekday}}", "bad_merge_field"),
        ("Hi {{}}", "bad_merge_field"),
        ("Hi {{ | there}}", "bad_merge_field"),
        ("Hi {{first_name", "bad_merge_field"),
        ("Hi {{first_name}", "bad_merge_field"),
        ("Hi first_name}}", "bad_merge_field"),
        ("Hi {{{first_name}}}", "bad_merge_field"),
        ("Hi {{first_name|{{last_name}}}}", "bad_merge_field"),
        ("Hi {{first_name {{last_name}}", "bad_merge_field"),
        ("Hi\0there", "bad_character"),
        ("Hi \u2063First name\u2064", "bad_character"),
    ],
)
def test_invalid_body_is_refused(body: str, code: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_body(body, field="steps.1.body")
    assert caught.value.field == "steps.1.body"
    assert caught.value.field_code == code


def test_unknown_merge_field_error_lists_known_ones() -> None:
    with pytest.raises(InvalidFieldError) as caught:
        check_body("Hi {{Nickname}}", field="body")
    assert "{{Nickname}}" in caught.value.reason
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


@pytest.mark.parametrize(
    ("body", "value", "expected"),
    [
        ("{{x}}", "2026-12-01", "December 1, 2026"),
        ("{{x:long}}", "2026-12-01", "December 1, 2026"),
        ("{{ x : weekday | soon }}", "2026-12-01", "Tuesday, December 1"),
        ("{{x:short}}", "2026-12-01", "Dec 1"),
        ("{{x:numeric}}", "2026-12-01", "12/1/2026"),
        ("{{x:iso}}", "2026-12-01", "2026-12-01"),
        ("{{x:weekday}}", "2026-02-30", "2026-02-30"),
        ("{{x:weekday}}", "soon", "soon"),
        ("{{x:weekday|soon}}", None, "soon"),
        ("{{x}}", 1500, "1500"),
        ("{{x}}", 4.5, "4.5"),
        ("{{x}}", 0.1, "0.1"),
        ("{{x}}", 1e-7, "0.0000001"),
        ("{{x}}", 123456789012345, "123456789012345"),
        ("{{x|none}}", 0, "0"),
        ("{{x|none}}", True, "yes"),
        ("{{x|none}}", False, "no"),
    ],
)
def test_values_are_written_as_people_read_them(
    body: str, value: Value | None, expected: str
) -> None:
    assert render(body, {"x": value}) == expected


def test_variable_goes_before_the_field_of_its_key() -> None:
    values = merge_values("Ann", "", "+1", {"job": "Cook", "city": "Rome"}, {"job": "Chef"})
    assert render("{{full_name}}: {{job}} in {{city}}", values) == "Ann: Chef in Rome"


@pytest.mark.parametrize(
    ("body", "lacking"),
    [
        ("Hi {{first_name}}, ok", ()),
        ("{{job}} {{city}} {{job:short}}", ("job", "city")),
        ("{{job|a role}} in {{city|town}}", ()),
        ("{{job| }} in {{there}}", ("job",)),
        ("{{blank}}", ("blank",)),
        ("{{first_name}}", ("first_name",)),
        ("{{first_name}} {{last_name}}", ("first_name", "last_name")),
        ("{{first_name}}{{there}}", ()),
    ],
)
def test_text_is_missing_what_it_cannot_go_without(body: str, lacking: tuple[str, ...]) -> None:
    values: dict[str, Value | None] = {"there": 0, "blank": " \n", "last_name": None}
    assert missing(body, values) == lacking
    assert missing(body, values, has_media=True) == tuple(
        name for name in lacking if name not in MERGE_FIELDS
    )


def test_half_filled_text_keeps_what_it_cannot_go_without() -> None:
    body = "Hi {{first_name}}, {{job}} from {{start:short}} at {{place|here}}"
    values = {"first_name": "Ann", "start": "2026-12-01"}
    assert half_filled(body, values) == "Hi Ann, {{job}} from Dec 1 at here"
    assert missing(half_filled(body, values), values) == ("job",)
    assert half_filled("{{first_name}}", {}) == "{{first_name}}"


def test_outline_names_what_a_text_is_missing() -> None:
    body = "Hi {{first_name}}, {{job}} from {{start:short}} {{city|here}}"
    assert outline(body, {"start": "2026-12-01"}) == "Hi, [job] from Dec 1 here"
    assert outline("{{first_name}}", {}) == "[first_name]"
    assert outline("{{first_name}}", {}, has_media=True) == ""


def test_keys_and_values_are_those_of_fields() -> None:
    assert keys_in("{{job}} {{first_name}}", "{{city|x}} {{job:iso}}") == ("job", "city")
    assert texts._KEY.pattern == fields.KEY_PATTERN
    assert texts.Value == fields.Value
    for own in (*MERGE_FIELDS, "name", "firstname", "fullnam"):
        with pytest.raises(InvalidFieldError) as caught:
            fields.check_key(own, field="key", taken={})
        assert caught.value.field_code == "reserved_key"


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
NAMES = (*MERGE_FIELDS, "job_title", "start_date")
FIELDS = st.builds(
    "{{{{{}{}{}}}}}".format,
    st.sampled_from(NAMES),
    st.sampled_from(["", *(f":{shape}" for shape in DATE_FORMATS)]),
    st.sampled_from(["", "|", "|there"]),
)
VALUES = st.one_of(
    st.none(),
    st.text(max_size=9),
    st.booleans(),
    st.integers(-(10**15), 10**15),
    st.floats(-1e15, 1e15),
    st.dates().map(str),
)


@given(
    st.lists(st.one_of(LITERALS, FIELDS), max_size=12),
    st.dictionaries(st.sampled_from(NAMES), VALUES),
)
def test_rendered_text_has_no_braces_or_controls(
    parts: list[str], values: dict[str, Value | None]
) -> None:
    body = "".join(parts)
    try:
        check_body(body, field="body")
    except InvalidFieldError:
        return
    text = render(body, values)
    assert "\0" not in text
    assert len(text) <= MAX_CHARACTERS
    if not any("{" in str(value) or "}" in str(value) for value in values.values()):
        assert "{{" not in text
    lacking = missing(body, values)
    assert set(lacking) <= {*keys_in(body), *MERGE_FIELDS}
    filled: dict[str, Value | None] = {**values, **dict.fromkeys(lacking, "X")}
    assert missing(body, filled) == ()
    assert render(body, filled).strip() or not lacking


@given(st.text(), st.text())
def test_check_body_handles_any_text(body: str, value: str) -> None:
    assert len(render(body, {"first_name": value})) <= MAX_CHARACTERS


@given(st.lists(st.one_of(LITERALS, FIELDS), max_size=12))
def test_merging_changes_only_the_fields(parts: list[str]) -> None:
    values = dict.fromkeys(NAMES, "X")
    expected = "".join("X" if part.startswith("{{") else part for part in parts)
    assert render("".join(parts), values) == expected


def test_pieces_tell_words_from_merge_fields() -> None:
    body = "Hi {{ first_name | there }}{{start_date:short}}, ok {{{phone}}}?\n"
    assert list(pieces(body)) == [
        "Hi ",
        Merged("first_name", "", "there"),
        Merged("start_date", "short", ""),
        ", ok {{{phone}}}?\n",
    ]
    assert list(pieces("")) == []
