# mypy: disable-error-code="import-untyped"
"""Lookup v2, through Twilio's own client."""

from typing import Any

import pytest
from twilio.rest import Client

from tests.simulator.conftest import RunningSimulator


def look_up(client: Client, number: str) -> Any:
    return client.lookups.v2.phone_numbers(number).fetch(fields="line_type_intelligence")


@pytest.mark.parametrize(
    ("number", "line_type"),
    [
        ("+14155550123", "mobile"),
        ("+14155557006", "landline"),
        ("+14155557801", "fixedVoip"),
        ("+14155557802", "unknown"),
    ],
)
def test_number_decides_the_line_type(client: Client, number: str, line_type: str) -> None:
    found = look_up(client, number)
    assert (found.valid, found.phone_number, found.country_code) == (True, number, "US")
    assert found.line_type_intelligence["type"] == line_type
    assert found.line_type_intelligence["error_code"] is None


def test_lookup_error_comes_inside_a_200(client: Client) -> None:
    found = look_up(client, "+14165557803")
    assert found.line_type_intelligence["type"] is None
    assert found.line_type_intelligence["error_code"] == 60601


@pytest.mark.parametrize(
    ("number", "error"),
    [("+14155557804", "INVALID_BUT_POSSIBLE"), ("+1415", "TOO_SHORT"), ("hello", "NOT_A_NUMBER")],
)
def test_invalid_number_is_a_200_that_says_so(client: Client, number: str, error: str) -> None:
    found = look_up(client, number)
    assert (found.valid, found.validation_errors) == (False, [error])
    assert found.line_type_intelligence is None


def test_package_is_null_if_not_asked_for(client: Client) -> None:
    found = client.lookups.v2.phone_numbers("+14155557006").fetch()
    assert found.valid is True
    assert found.national_format == "(415) 555-7006"
    assert found.line_type_intelligence is None


def test_lookups_need_credentials(simulator: RunningSimulator) -> None:
    simulator.behave(credentials_ok=False)
    assert simulator.http.get("/v2/PhoneNumbers/+14155550123").status_code == 401
