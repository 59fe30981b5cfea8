"""Values of fields: what each type takes, what it refuses, and that exports are read again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.contacts.fields import as_text, check_key, checked, key_from
from domain.platform.errors import InvalidFieldError
from domain.statuses.contacts import FieldType

TAKEN = [
    (FieldType.TEXT, " Welder ", "Welder"),
    (FieldType.NUMBER, 4.5, 4.5),
    (FieldType.NUMBER, "4.50", 4.5),
    (FieldType.NUMBER, 5.0, 5),
    (FieldType.NUMBER, "-3", -3),
    (FieldType.DATE, "2026-12-01", "2026-12-01"),
    (FieldType.BOOLEAN, True, True),
    (FieldType.BOOLEAN, "No", False),
    (FieldType.URL, "https://jobs.example/7?a=b", "https://jobs.example/7?a=b"),
    (FieldType.DATE, "", None),
    (FieldType.TEXT, None, None),
]

REFUSED = [
    (FieldType.TEXT, 5),
    (FieldType.TEXT, "x" * 501),
    (FieldType.NUMBER, True),
    (FieldType.NUMBER, "about 5"),
    (FieldType.NUMBER, float("nan")),
    (FieldType.NUMBER, float("-inf")),
    (FieldType.NUMBER, 10**15),
    (FieldType.NUMBER, 10**400),
    (FieldType.NUMBER, "9" * 5_000),
    (FieldType.DATE, "01.12.2026"),
    (FieldType.DATE, "2026-02-30"),
    (FieldType.DATE, "20261201"),
    (FieldType.BOOLEAN, "maybe"),
    (FieldType.BOOLEAN, 1),
    (FieldType.URL, "javascript:alert(1)"),
    (FieldType.URL, "https://"),
    (FieldType.TEXT, ["a"]),
]


@pytest.mark.parametrize(("kind", "given", "stored"), TAKEN)
def test_value_of_its_type_is_stored(kind: FieldType, given: object, stored: object) -> None:
    found = checked(kind, given, field="fields.x")
    assert (found, type(found)) == (stored, type(stored))


@pytest.mark.parametrize(("kind", "given"), REFUSED)
def test_other_value_is_refused_naming_its_field(kind: FieldType, given: object) -> None:
    with pytest.raises(InvalidFieldError, match=r"^fields\.x: "):
        checked(kind, given, field="fields.x")


VALUES: dict[FieldType, st.SearchStrategy[Any]] = {
    FieldType.NUMBER: st.integers(-(10**14), 10**14)
    | st.floats(-1e6, 1e6).map(lambda value: round(value, 6)),
    FieldType.DATE: st.dates().map(lambda value: value.isoformat()),
    FieldType.BOOLEAN: st.booleans(),
}


@given(st.data())
def test_exported_value_is_read_again(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(VALUES)))
    stored = checked(kind, data.draw(VALUES[kind]), field="x")
    assert checked(kind, as_text(stored), field="x") == stored


@pytest.mark.parametrize("key", ["", "A", "1a", "a-b", "a b", "ä", "x" * 41, "first_name"])
def test_invalid_or_reserved_key_is_refused(key: str) -> None:
    with pytest.raises(InvalidFieldError):
        check_key(key, field="key", taken={"first_name": None})


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("Job title", "job_title"),
        ("Größe (cm)", "grosse_cm"),
        ("2nd phone", "field_2nd_phone"),
        ("会社", "field"),
        ("Owner", "owner_2"),  # reserved
        ("First  name", "first_name_2"),  # a text would mean the contact's own
        ("City", "city_3"),  # there already, and so is the next
        ("x" * 100, "x" * 37),
    ],
)
def test_key_comes_from_what_people_call_a_field(label: str, key: str) -> None:
    taken = dict.fromkeys(("owner", "city", "city_2"))
    assert key_from(label, taken=taken) == key
    assert check_key(key, field="key", taken=taken) == key


def test_valid_key_is_taken() -> None:
    assert check_key("job_title_2", field="key", taken={}) == "job_title_2"
