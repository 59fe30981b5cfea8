# mypy: disable-error-code="import-untyped"
"""Habits of an account: how its API alters the texts that it shows."""

from twilio.rest import Client

from simulator.habits import TRIAL_PREFIX
from tests.simulator.conftest import OURS, RunningSimulator

DANA = "+14155550123"
SMART = "It\u2019s \u201cnine\u201d \u2013 or ten\u2026"


def test_trial_account_puts_a_sentence_before_every_text(
    client: Client, simulator: RunningSimulator
) -> None:
    simulator.behave(habit="trial")
    made = client.messages.create(to=DANA, from_=OURS, body="Hi")
    [listed] = client.messages.list(to=DANA)
    assert made.body == listed.body == client.messages(made.sid).fetch().body == f"{TRIAL_PREFIX}Hi"
    assert simulator.messages()["messages"][0]["body"] == "Hi"


def test_redacted_text_is_blank_and_listed_under_no_number(
    client: Client, simulator: RunningSimulator
) -> None:
    simulator.behave(habit="redaction")
    made = client.messages.create(to=DANA, from_=OURS, body="Hi")
    [listed] = client.messages.list()
    assert (made.body, made.to) == (listed.body, listed.to) == ("", "+1415555XXXX")
    assert client.messages.list(to=DANA) == []
    simulator.text(**{"from": DANA, "to": OURS, "body": "Hello"})
    assert client.messages.list(to=OURS)[0].body == "Hello"


def test_smart_encoding_swaps_characters_for_plain_ones(
    client: Client, simulator: RunningSimulator
) -> None:
    simulator.behave(habit="smart_encoding")
    made = client.messages.create(to=DANA, from_=OURS, body=SMART)
    [listed] = client.messages.list(to=DANA)
    assert made.body == listed.body == 'It\'s "nine" - or ten...'


def test_habit_goes_with_a_reset(client: Client, simulator: RunningSimulator) -> None:
    simulator.behave(habit="trial")
    simulator.http.delete("/_simulator/messages")
    assert client.messages.create(to=DANA, from_=OURS, body="Hi").body == "Hi"
