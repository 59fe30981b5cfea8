# mypy: disable-error-code="import-untyped"
"""Texts from handsets: their webhook, and opting out."""

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.simulator.conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    OURS,
    SERVICE,
    Listener,
    RunningSimulator,
)

DANA = "+14155550123"
OTHER_SENDER = "+16285550198"


def test_webhook_has_twilios_fields_and_signature(
    simulator: RunningSimulator, listener: Listener
) -> None:
    answer = simulator.text(**{"from": DANA, "to": OURS, "body": "Sí, claro & ok + 👍\n"})
    webhook = listener.inbound()[0]
    assert answer == {"sid": webhook.fields["MessageSid"], "webhook_status": 200}
    assert webhook.fields == {
        "ToCountry": "US",
        "ToState": "",
        "SmsMessageSid": answer["sid"],
        "NumMedia": "0",
        "ToCity": "",
        "FromZip": "",
        "SmsSid": answer["sid"],
        "FromState": "",
        "SmsStatus": "received",
        "FromCity": "",
        "Body": "Sí, claro & ok + 👍\n",
        "FromCountry": "US",
        "To": OURS,
        "ToZip": "",
        "NumSegments": "1",
        "MessageSid": answer["sid"],
        "AccountSid": ACCOUNT_SID,
        "From": DANA,
        "ApiVersion": "2010-04-01",
    }
    signature = webhook.headers["x-twilio-signature"]
    assert RequestValidator(AUTH_TOKEN).validate(webhook.url, webhook.fields, signature)


def test_picture_service_and_opt_out_type_are_named_when_there(
    simulator: RunningSimulator, listener: Listener
) -> None:
    simulator.text(
        **{
            "from": DANA,
            "to": OURS,
            "media_urls": ["https://example.com/cat.png"],
            "messaging_service_sid": SERVICE,
            "opt_out_type": "HELP",
        }
    )
    fields = listener.inbound()[0].fields
    assert (fields["Body"], fields["NumMedia"]) == ("", "1")
    assert fields["MediaUrl0"] == "https://example.com/cat.png"
    assert fields["MediaContentType0"] == "image/png"
    assert (fields["MessagingServiceSid"], fields["OptOutType"]) == (SERVICE, "HELP")


def test_undelivered_inbound_text_is_only_listed(
    client: Client, simulator: RunningSimulator, listener: Listener
) -> None:
    answer = simulator.text(**{"from": DANA, "to": OURS, "body": "Hi", "deliver": False})
    assert answer["webhook_status"] is None
    assert listener.received == []
    message = client.messages.list(to=OURS)[0]
    assert (message.sid, message.direction, message.status) == (
        answer["sid"],
        "inbound",
        "received",
    )
    assert message.date_sent is not None


def test_failed_webhook_is_counted_and_not_repeated(
    simulator: RunningSimulator, listener: Listener
) -> None:
    listener.status = 503
    assert simulator.text(**{"from": DANA, "to": OURS, "body": "Hi"})["webhook_status"] == 503
    assert len(listener.inbound()) == 1


@pytest.mark.parametrize("word", ["STOP", " stop\n", "Unsubscribe", "OPTOUT", "revoke"])
def test_opt_out_keyword_blocks_that_sender_and_is_posted(
    client: Client, simulator: RunningSimulator, listener: Listener, word: str
) -> None:
    simulator.text(**{"from": DANA, "to": OURS, "body": word})
    assert listener.inbound()[0].fields["Body"] == word
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert (caught.value.status, caught.value.code) == (400, 21610)
    assert simulator.created(DANA) == 0
    assert client.messages.create(to=DANA, from_=OTHER_SENDER, body="Hi").status == "queued"


@pytest.mark.parametrize("word", ["Stop please", "OPT OUT", "HELP", "no"])
def test_other_words_block_nothing(client: Client, simulator: RunningSimulator, word: str) -> None:
    simulator.text(**{"from": DANA, "to": OURS, "body": word})
    assert client.messages.create(to=DANA, from_=OURS, body="Hi").status == "queued"


@pytest.mark.parametrize("word", ["START", "yes", "Unstop"])
def test_opt_in_keyword_unblocks(client: Client, simulator: RunningSimulator, word: str) -> None:
    simulator.text(**{"from": DANA, "to": OURS, "body": "STOP"})
    simulator.text(**{"from": DANA, "to": OURS, "body": word})
    assert client.messages.create(to=DANA, from_=OURS, body="Hi").status == "queued"


def test_opt_out_from_one_number_of_a_service_blocks_the_service(
    client: Client, simulator: RunningSimulator
) -> None:
    sid = client.messages.create(to=DANA, messaging_service_sid=SERVICE, body="Hi").sid
    simulator.rest()
    number = client.messages(sid).fetch().from_
    simulator.text(**{"from": DANA, "to": number, "body": "STOP"})
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=DANA, messaging_service_sid=SERVICE, body="Hi")
    assert caught.value.code == 21610


def test_declared_opt_out_counts_whatever_the_words(
    client: Client, simulator: RunningSimulator
) -> None:
    simulator.text(**{"from": DANA, "to": OURS, "body": "Ya no más", "opt_out_type": "STOP"})
    with pytest.raises(TwilioRestException) as caught:
        client.messages.create(to=DANA, from_=OURS, body="Hi")
    assert caught.value.code == 21610
