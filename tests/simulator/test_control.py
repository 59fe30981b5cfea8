# mypy: disable-error-code="import-untyped"
"""The control API: what it shows, and the faults it sets."""

import time
from contextlib import suppress

import pytest
import requests
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from tests.simulator.conftest import OURS, SERVICE, Listener, RunningSimulator

DANA = "+14155550123"
ORA = "+12125550124"


def test_messages_are_shown_in_order_with_what_twilio_hides(
    client: Client, simulator: RunningSimulator, listener: Listener
) -> None:
    callback = f"{listener.url}/status?attempt=a"
    client.messages.create(
        to=DANA, from_=OURS, body="one", status_callback=callback, validity_period=60
    )
    simulator.text(**{"from": DANA, "to": OURS, "body": "two"})
    client.messages.create(to=ORA, from_=OURS, body="three")
    shown = simulator.messages()
    assert [message["body"] for message in shown["messages"]] == ["one", "two", "three"]
    assert shown["messages"][0]["status_callback"] == callback
    assert shown["messages"][0]["validity_period"] == 60
    assert shown["created"] == {DANA: 1, ORA: 1}
    first = shown["messages"][0]["number"]
    later = simulator.messages(after=first, limit=1)["messages"]
    assert [message["body"] for message in later] == ["two"]
    assert len(simulator.messages(to=ORA)["messages"]) == 1
    assert simulator.http.get("/_simulator/totals").json()["messages"] == 3


def test_reset_forgets_everything(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(credentials_ok=False)
    simulator.text(**{"from": DANA, "to": OURS, "body": "STOP"})
    assert simulator.http.delete("/_simulator/messages").json() == {"deleted": 1}
    assert simulator.messages() == {"messages": [], "created": {}, "calls": {}}
    assert client.messages.create(to=DANA, from_=OURS, body="Hi").status == "queued"


@pytest.mark.parametrize(
    ("fault", "created"),
    [({"status": 429}, 0), ({"status": 500}, 0), ({"status": 503, "creates": True}, 2)],
)
def test_next_creates_fail(
    client: Client, simulator: RunningSimulator, fault: dict[str, object], created: int
) -> None:
    simulator.behave(fail_next_creates=fault | {"count": 2})
    for _ in range(2):
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to=DANA, from_=OURS, body="Hi")
        assert caught.value.status == fault["status"]
    assert simulator.created(DANA) == created
    assert client.messages.create(to=DANA, from_=OURS, body="Hi").status == "queued"


def test_next_create_can_drop_its_connection(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(fail_next_creates={"kind": "drop", "creates": True})
    with pytest.raises(requests.exceptions.ConnectionError):
        client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert simulator.created(DANA) == 1


def test_gateway_errors_come_as_html(simulator: RunningSimulator, client: Client) -> None:
    simulator.behave(fail_next_creates={"status": 504})
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert (caught.value.status, caught.value.code) == (504, 504)


def test_next_lists_fail(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(fail_next_lists={"status": 429, "count": 1})
    with pytest.raises(TwilioException) as caught:
        client.messages.list()
    assert caught.value.args[1].status_code == 429
    assert client.messages.list() == []


def test_error_rate_fails_about_its_share(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(error_rate={"429": 0.5})
    for _ in range(60):
        with suppress(TwilioRestException):
            client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert simulator.messages()["calls"] == {DANA: 60}
    assert 10 < simulator.created(DANA) < 50


def test_creates_take_as_long_as_they_are_told(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(create_delay_seconds=0.3)
    began = time.monotonic()
    client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert time.monotonic() - began >= 0.3


def test_credentials_can_turn_bad(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(credentials_ok=False)
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert (caught.value.status, caught.value.code) == (401, 20003)


@pytest.mark.parametrize("sender", [{"from_": OURS}, {"messaging_service_sid": SERVICE}])
def test_sender_can_be_at_fault_later(
    client: Client, simulator: RunningSimulator, sender: dict[str, str]
) -> None:
    simulator.behave(sender_errors={OURS: 30034, SERVICE: 30034})
    sid = client.messages.create(to=DANA, body="Hi", **sender).sid
    simulator.rest()
    message = client.messages(sid).fetch()
    assert (message.status, message.error_code) == ("failed", 30034)


def test_sender_can_be_at_fault_at_once(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(sender_errors={OURS: 21606})
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert (caught.value.status, caught.value.code) == (400, 21606)


def test_list_can_lag_behind(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(list_lag_seconds=60)
    sid = client.messages.create(to=DANA, from_=OURS, body="Hi").sid
    assert client.messages.list() == []
    assert client.messages(sid).fetch().sid == sid


def test_faults_are_set_one_by_one(simulator: RunningSimulator) -> None:
    simulator.behave(create_delay_seconds=0.1)
    simulator.behave(callbacks="off")
    shown = simulator.http.get("/_simulator/behaviour").json()
    assert (shown["create_delay_seconds"], shown["callbacks"]) == (0.1, "off")


@pytest.mark.parametrize(
    "change",
    [{"unknown": 1}, {"error_rate": {"429": 2}}, {"error_rate": {"429": 0.6, "500": 0.6}}],
)
def test_nonsense_is_refused(simulator: RunningSimulator, change: dict[str, object]) -> None:
    assert simulator.http.post("/_simulator/behaviour", json=change).status_code == 422
