"""The command line."""

from datetime import timedelta

import pytest

from simulator.__main__ import read_arguments
from tests.kits.programs import Start

REQUIRED = ["--account-sid", "AC1", "--auth-token", "token", "--inbound-url", "http://app/in"]


def test_command_line_is_the_configuration() -> None:
    config, *address = read_arguments([*REQUIRED, "--delivery-delay", "0.25", "--seed", "7"])
    assert address == ["127.0.0.1", 8100]
    assert (config.account_sid, config.auth_token) == ("AC1", "token")
    assert config.inbound_url == "http://app/in"
    assert (config.delivery_delay, config.seed) == (timedelta(milliseconds=250), 7)


def test_account_is_required(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read_arguments(["--port", "1"])
    assert "--account-sid" in capsys.readouterr().err


def test_simulator_runs_as_a_module(start: Start) -> None:
    assert "--inbound-url" in start("simulator", "--help").completes()
