# mypy: disable-error-code="import-untyped"
"""Magic numbers: each does what its row in the table says."""

import time

import pytest
import requests
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.simulator.conftest import OURS, SERVICE, Listener, RunningSimulator, wait_until


def magic(suffix: str) -> str:
    return f"+12125557{suffix}"


@pytest.mark.parametrize(
    ("suffix", "status", "code"),
    [
        ("003", "undelivered", 30003),
        ("004", "undelivered", 30004),
        ("005", "undelivered", 30005),
        ("006", "undelivered", 30006),
        ("007", "failed", 30007),
        ("008", "undelivered", 30008),
        ("017", "failed", 30017),
        ("034", "undelivered", 30034),
        ("036", "failed", 30036),
        ("610", "failed", 21610),
        ("204", "sent", None),
        ("801", "delivered", None),
    ],
)
def test_number_decides_how_a_text_ends(
    client: Client,
    simulator: RunningSimulator,
    listener: Listener,
    suffix: str,
    status: str,
    code: int | None,
) -> None:
    sid = client.messages.create(
        to=magic(suffix), from_=OURS, body="Hi", status_callback=f"{listener.url}/status"
    ).sid
    simulator.rest()
    message = client.messages(sid).fetch()
    assert (message.status, message.error_code) == (status, code)
    last = listener.received[-1].fields
    assert last["MessageStatus"] == status
    assert last.get("ErrorCode") == (None if code is None else str(code))


def test_queue_overflow_hits_the_first_text_only(
    client: Client, simulator: RunningSimulator
) -> None:
    ends = []
    for _ in range(2):
        sid = client.messages.create(to=magic("001"), messaging_service_sid=SERVICE, body="Hi").sid
        simulator.rest()
        message = client.messages(sid).fetch()
        ends.append((message.status, message.error_code))
    assert ends == [("failed", 30001), ("delivered", None)]


@pytest.mark.parametrize(
    ("suffix", "status", "code", "created"),
    [
        ("401", 401, 20003, 0),
        ("408", 400, 21408, 0),
        ("500", 500, 20500, 0),
        ("501", 500, 20500, 1),
        ("502", 502, 502, 0),
        ("503", 502, 502, 1),
        ("614", 400, 21614, 0),
        ("635", 400, 21635, 0),
    ],
)
def test_number_decides_how_a_create_fails(
    client: Client,
    simulator: RunningSimulator,
    suffix: str,
    status: int,
    code: int,
    created: int,
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=magic(suffix), from_=OURS, body="Hi")
    assert (caught.value.status, caught.value.code) == (status, code)
    assert simulator.created(magic(suffix)) == created


def test_throttled_number_takes_the_fourth_create(
    client: Client, simulator: RunningSimulator
) -> None:
    for _ in range(3):
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to=magic("429"), from_=OURS, body="Hi")
        assert (caught.value.status, caught.value.code) == (429, 20429)
    client.messages.create(to=magic("429"), from_=OURS, body="Hi")
    counts = simulator.messages(to=magic("429"))
    assert counts["calls"] == {magic("429"): 4}
    assert counts["created"] == {magic("429"): 1}


@pytest.mark.parametrize(("suffix", "created"), [("504", 1), ("505", 0)])
def test_create_without_answer_hangs(
    simulator: RunningSimulator, listener: Listener, suffix: str, created: int
) -> None:
    client = simulator.client(seconds=0.3)
    with pytest.raises(requests.exceptions.ReadTimeout):
        client.messages.create(
            to=magic(suffix), from_=OURS, body="Hi", status_callback=f"{listener.url}/status"
        )
    simulator.rest()
    assert simulator.created(magic(suffix)) == created
    assert listener.statuses() == ["sent", "delivered"] * created


@pytest.mark.parametrize(("suffix", "created"), [("506", 1), ("507", 0)])
def test_create_with_dropped_connection_fails(
    client: Client, simulator: RunningSimulator, suffix: str, created: int
) -> None:
    with pytest.raises(requests.exceptions.ConnectionError):
        client.messages.create(to=magic(suffix), from_=OURS, body="Hi")
    assert simulator.created(magic(suffix)) == created


def test_slow_answer_takes_three_seconds(client: Client) -> None:
    began = time.monotonic()
    assert client.messages.create(to=magic("300"), from_=OURS, body="Hi").status == "queued"
    assert 2.9 < time.monotonic() - began < 4


def test_reports_before_the_answer(client: Client, listener: Listener) -> None:
    message = client.messages.create(
        to=magic("201"), from_=OURS, body="Hi", status_callback=f"{listener.url}/status"
    )
    assert message.status == "queued"
    assert listener.statuses(message.sid) == ["sent", "delivered"]


@pytest.mark.parametrize(
    ("suffix", "statuses"),
    [
        ("202", ["sent", "sent", "delivered", "delivered"]),
        ("203", ["delivered", "sent"]),
        ("205", []),
    ],
)
def test_number_decides_how_reports_come(
    client: Client,
    simulator: RunningSimulator,
    listener: Listener,
    suffix: str,
    statuses: list[str],
) -> None:
    sid = client.messages.create(
        to=magic(suffix), from_=OURS, body="Hi", status_callback=f"{listener.url}/status"
    ).sid
    simulator.rest()
    assert listener.statuses(sid) == statuses
    assert client.messages(sid).fetch().status == "delivered"


def test_handsets_answer_their_first_text_only(
    client: Client, simulator: RunningSimulator, listener: Listener
) -> None:
    for suffix in ("700", "701", "702"):
        client.messages.create(to=magic(suffix), from_=OURS, body="Hi")
    client.messages.create(to=magic("700"), from_=OURS, body="Hi again")
    wait_until(lambda: len(listener.inbound()) == 3)
    simulator.rest()
    answers = {webhook.fields["From"]: webhook.fields["Body"] for webhook in listener.inbound()}
    assert answers == {
        magic("700"): "Sure!",
        magic("701"): "STOP",
        magic("702"): "Please stop texting me",
    }
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=magic("701"), from_=OURS, body="Hi")
    assert caught.value.code == 21610


def test_handset_answers_the_service_that_texted_it(
    client: Client, simulator: RunningSimulator, listener: Listener
) -> None:
    message = client.messages.create(to=magic("700"), messaging_service_sid=SERVICE, body="Hi")
    wait_until(listener.inbound)
    fields = listener.inbound()[0].fields
    assert fields["MessagingServiceSid"] == SERVICE
    assert fields["To"] == client.messages(message.sid).fetch().from_
