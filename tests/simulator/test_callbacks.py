# mypy: disable-error-code="import-untyped"
"""Status callbacks: their order, their form and their signature."""

import pytest
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.simulator.conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    OURS,
    SERVICE,
    Listener,
    RunningSimulator,
    wait_until,
)

DANA = "+14155550123"


@pytest.fixture
def callback(listener: Listener) -> str:
    return f"{listener.url}/status?attempt=4f%2B1&b=a%20b"


def test_number_reports_sent_and_delivered(
    client: Client, simulator: RunningSimulator, listener: Listener, callback: str
) -> None:
    sid = client.messages.create(to=DANA, from_=OURS, body="Hi", status_callback=callback).sid
    simulator.rest()
    assert listener.statuses(sid) == ["sent", "delivered"]
    fields = listener.received[0].fields
    assert fields == {
        "SmsSid": sid,
        "SmsStatus": "sent",
        "MessageStatus": "sent",
        "To": DANA,
        "MessageSid": sid,
        "AccountSid": ACCOUNT_SID,
        "From": OURS,
        "ApiVersion": "2010-04-01",
    }


def test_service_reports_queued_first_with_the_number_it_chose(
    client: Client, simulator: RunningSimulator, listener: Listener, callback: str
) -> None:
    sid = client.messages.create(
        to=DANA, messaging_service_sid=SERVICE, body="Hi", status_callback=callback
    ).sid
    simulator.rest()
    assert listener.statuses(sid) == ["queued", "sent", "delivered"]
    fields = listener.received[0].fields
    assert fields["MessagingServiceSid"] == SERVICE
    assert fields["From"] == client.messages(sid).fetch().from_


def test_callbacks_are_signed_as_twilio_signs(
    client: Client, simulator: RunningSimulator, listener: Listener, callback: str
) -> None:
    client.messages.create(
        to="+14155557003", from_=OURS, body="Hi", status_callback=callback + "#rc=2"
    )
    simulator.rest()
    validator = RequestValidator(AUTH_TOKEN)
    assert len(listener.received) == 2
    for webhook in listener.received:
        assert webhook.url == callback
        signature = webhook.headers["x-twilio-signature"]
        assert validator.validate(webhook.url, webhook.fields, signature)
        assert not RequestValidator("other").validate(webhook.url, webhook.fields, signature)
        assert webhook.headers["user-agent"] == "TwilioProxy/1.1"
        assert webhook.headers["i-twilio-idempotency-token"]
        assert webhook.headers["content-type"].startswith("application/x-www-form-urlencoded")


def test_refused_callback_is_not_repeated(
    client: Client, simulator: RunningSimulator, listener: Listener, callback: str
) -> None:
    listener.status = 500
    sid = client.messages.create(to=DANA, from_=OURS, body="Hi", status_callback=callback).sid
    simulator.rest()
    assert listener.statuses(sid) == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("fragment", "status", "tries"),
    [
        ("rc=3&rp=5xx,ct", 503, 4),
        ("rc=3&rp=all", 503, 4),
        ("rc=99&rp=all", 403, 6),
        ("rc=3&rp=5xx", 403, 1),
        ("rp=5xx", 500, 2),
        ("rc=3", 500, 1),
        ("rc=x&rp=5xx", 500, 2),
        ("rc=3&rp=all", 204, 1),
        ("rc=0&rp=all", 500, 1),
    ],
)
def test_callback_is_retried_as_its_fragment_says(
    client: Client,
    simulator: RunningSimulator,
    listener: Listener,
    callback: str,
    fragment: str,
    status: int,
    tries: int,
) -> None:
    listener.status = status
    client.messages.create(
        to="+14155557007", from_=OURS, body="Hi", status_callback=f"{callback}#{fragment}"
    )
    simulator.rest()
    assert [webhook.url for webhook in listener.received] == [callback] * tries
    tokens = {webhook.headers["i-twilio-idempotency-token"] for webhook in listener.received}
    assert len(tokens) == 1


@pytest.mark.parametrize(("fragment", "tries"), [("rt=100&rc=2&rp=rt", 3), ("rt=100&rc=2", 1)])
def test_callback_waits_for_an_answer_as_long_as_its_fragment_says(
    client: Client,
    simulator: RunningSimulator,
    listener: Listener,
    callback: str,
    fragment: str,
    tries: int,
) -> None:
    listener.delay = 0.4
    client.messages.create(
        to="+14155557007", from_=OURS, body="Hi", status_callback=f"{callback}#{fragment}"
    )
    simulator.rest()
    assert len(listener.received) == tries


def test_unreachable_application_blocks_nothing(
    client: Client, simulator: RunningSimulator
) -> None:
    before = simulator.http.get("/_simulator/totals").json()["webhooks_lost"]
    sid = client.messages.create(
        to=DANA, from_=OURS, body="Hi", status_callback="http://127.0.0.1:9/status"
    ).sid
    wait_until(lambda: client.messages(sid).fetch().status == "delivered")
    simulator.rest()
    assert simulator.http.get("/_simulator/totals").json()["webhooks_lost"] == before + 2


def test_without_a_status_callback_nothing_is_posted(
    client: Client, simulator: RunningSimulator, listener: Listener
) -> None:
    client.messages.create(to=DANA, from_=OURS, body="Hi")
    simulator.rest()
    assert listener.received == []


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [
        ("on", ["sent", "delivered"]),
        ("off", []),
        ("doubled", ["sent", "sent", "delivered", "delivered"]),
        ("shuffled", ["delivered", "sent"]),
    ],
)
def test_account_reporting_can_be_changed(
    client: Client,
    simulator: RunningSimulator,
    listener: Listener,
    callback: str,
    mode: str,
    statuses: list[str],
) -> None:
    simulator.behave(callbacks=mode)
    sid = client.messages.create(to=DANA, from_=OURS, body="Hi", status_callback=callback).sid
    simulator.rest()
    assert listener.statuses(sid) == statuses


def test_reports_may_come_late(
    client: Client, simulator: RunningSimulator, listener: Listener, callback: str
) -> None:
    simulator.behave(callback_delay_seconds=600)
    sid = client.messages.create(to=DANA, from_=OURS, body="Hi", status_callback=callback).sid
    wait_until(lambda: client.messages(sid).fetch().status == "delivered")
    assert listener.received == []
    simulator.behave(callback_delay_seconds=0)
    later = client.messages.create(to=DANA, from_=OURS, body="Ho", status_callback=callback).sid
    wait_until(lambda: listener.statuses(later) == ["sent", "delivered"])
