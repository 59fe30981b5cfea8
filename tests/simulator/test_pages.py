# mypy: disable-error-code="import-untyped"
"""The handset page."""

from twilio.rest import Client

from simulator.scenarios import SCENARIOS, TEST_RECIPIENTS
from tests.simulator.conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    OURS,
    SERVICE,
    Listener,
    RunningSimulator,
)

DANA = "+14155550123"
ORA = "+12125550124"


def test_start_page_lists_handsets_and_magic_numbers(
    client: Client, simulator: RunningSimulator
) -> None:
    client.messages.create(to=DANA, from_=OURS, body="first")
    client.messages.create(to=ORA, from_=OURS, body="second")
    page = simulator.http.get("/").text
    assert page.index("+1 212 555 0124") < page.index("+1 415 555 0123")
    assert all(f"<b>{scenario.suffix}</b>" in page for scenario in SCENARIOS)
    assert all(number in page for number in TEST_RECIPIENTS)


def test_conversation_escapes_texts_and_shows_errors(
    client: Client, simulator: RunningSimulator
) -> None:
    number = "+14155557003"
    client.messages.create(to=number, from_=OURS, body="<script>alert(1)</script>")
    simulator.rest()
    answer = simulator.http.get("/", params={"handset": number})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "undelivered 30003" in answer.text
    assert "default-src 'self'" in answer.headers["content-security-policy"]


def test_handset_answers_the_last_sender_by_default(
    client: Client, simulator: RunningSimulator, listener: Listener
) -> None:
    client.messages.create(to=DANA, from_=OURS, body="one")
    client.messages.create(to=DANA, messaging_service_sid=SERVICE, body="two")
    simulator.rest()
    page = simulator.http.get("/", params={"handset": DANA}).text
    offered = page.split('<option value="')[1:]
    assert [SERVICE in option.partition('"')[0] for option in offered] == [True, False]
    chosen = offered[0].partition('"')[0]
    answer = simulator.http.post(
        "/_simulator/answer", data={"handset": DANA, "sender": chosen, "body": "Hi\r\nthere"}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/?handset=%2B14155550123&webhook=200"
    fields = listener.inbound()[0].fields
    assert (fields["Body"], fields["MessagingServiceSid"]) == ("Hi\nthere", SERVICE)


def test_picture_is_fetched_where_its_webhook_says(
    simulator: RunningSimulator, listener: Listener
) -> None:
    form = {"handset": DANA, "sender": OURS, "picture": "yes"}
    assert simulator.http.post("/_simulator/answer", data=form).status_code == 303
    fields = listener.inbound()[0].fields
    assert (fields["NumMedia"], fields["MediaContentType0"]) == ("1", "image/png")
    path = fields["MediaUrl0"].removeprefix("http://127.0.0.1:8100")
    assert simulator.http.get(path, auth=("someone", "else")).status_code == 401
    picture = simulator.http.get(path, auth=(ACCOUNT_SID, AUTH_TOKEN))
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    page = simulator.http.get("/", params={"handset": DANA}).text
    assert '<img src="data:image/png;base64,' in page


def test_quick_button_and_lost_webhook(simulator: RunningSimulator, listener: Listener) -> None:
    form = {"handset": DANA, "sender": OURS, "body": "ignored", "quick": "STOP", "lost": "yes"}
    answer = simulator.http.post("/_simulator/answer", data=form)
    assert answer.headers["location"].endswith("webhook=skipped")
    assert listener.received == []
    assert simulator.state.opt_outs.is_blocked(DANA, OURS)


def test_live_parts_follow_the_search(client: Client, simulator: RunningSimulator) -> None:
    client.messages.create(to=DANA, from_=OURS, body="first")
    client.messages.create(to=ORA, from_=OURS, body="second")
    live = simulator.http.get("/_simulator/live", params={"find": "415 555"}).text
    assert "first" in live
    assert "second" not in live


def test_page_brings_its_own_assets(simulator: RunningSimulator) -> None:
    for name in ("page.css", "page.js", "icon.svg"):
        assert simulator.http.get(f"/_simulator/static/{name}").status_code == 200
    assert "http://" not in simulator.http.get("/_simulator/static/page.css").text
