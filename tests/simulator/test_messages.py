# mypy: disable-error-code="import-untyped"
"""Creating, fetching and listing, through Twilio's own client."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client

from simulator.messages import Message, MessageFilter, MessageStore, now
from tests.simulator.conftest import ACCOUNT_SID, OURS, SERVICE, RunningSimulator, wait_until

DANA = "+14155550123"
ORA = "+12125550124"
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"


def test_text_from_a_number_is_queued_then_delivered(client: Client) -> None:
    message = client.messages.create(to=DANA, from_=OURS, body="Hello é")
    assert message.status == "queued"
    assert (message.to, message.from_, message.body) == (DANA, OURS, "Hello é")
    assert message.sid.startswith("SM")
    assert (message.num_segments, message.num_media) == ("1", "0")
    assert (message.date_sent, message.error_code, message.direction) == (
        None,
        None,
        "outbound-api",
    )
    wait_until(lambda: client.messages(message.sid).fetch().status == "delivered")
    fetched = client.messages(message.sid).fetch()
    assert datetime.now(UTC) - fetched.date_sent < timedelta(seconds=10)


def test_text_through_a_service_gets_its_number_later(client: Client) -> None:
    message = client.messages.create(to=DANA, messaging_service_sid=SERVICE, body="a" * 161)
    assert (message.status, message.from_, message.num_segments) == ("accepted", None, "0")
    assert message.messaging_service_sid == SERVICE
    wait_until(lambda: client.messages(message.sid).fetch().status == "delivered")
    fetched = client.messages(message.sid).fetch()
    assert fetched.from_.startswith("+1628555")
    assert fetched.num_segments == "2"


def test_service_sends_to_one_person_from_one_number(
    client: Client, simulator: RunningSimulator
) -> None:
    for _ in range(3):
        client.messages.create(to=DANA, messaging_service_sid=SERVICE, body="Hi")
    simulator.rest()
    assert len({message.from_ for message in client.messages.list()}) == 1


def test_picture_message_has_its_own_kind_of_id(client: Client) -> None:
    message = client.messages.create(to=DANA, from_=OURS, media_url=["https://example.com/a.png"])
    assert message.sid.startswith("MM")
    assert (message.num_media, message.body) == ("1", "")


def test_wire_format_is_twilios(simulator: RunningSimulator) -> None:
    answer = simulator.http.post(MESSAGES, data={"To": DANA, "From": OURS, "Body": "Hi"})
    document = answer.json()
    assert answer.status_code == 201
    assert document["date_created"].endswith(" +0000")
    created = datetime.strptime(document["date_created"], "%a, %d %b %Y %H:%M:%S %z")
    assert abs(datetime.now(UTC) - created) < timedelta(seconds=10)
    assert document["uri"] == MESSAGES.replace(".json", f"/{document['sid']}.json")
    assert document["price"] is None
    assert document["num_segments"] == "1"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "4155550123"}, 21211),
        ({"To": OURS}, 21266),
        ({"From": ""}, 21603),
        ({"From": "(628) 555-0199"}, 21212),
        ({"From": "", "MessagingServiceSid": "MG1"}, 21705),
        ({"Body": ""}, 21602),
        ({"Body": "x" * 1601}, 21617),
        ({"MediaUrl": ["https://example.com/a"] * 11}, 21623),
        ({"MediaUrl": ["ftp://example.com/a"]}, 21620),
        ({"ValidityPeriod": "0"}, 21624),
        ({"ValidityPeriod": "36001"}, 21624),
        ({"ValidityPeriod": "1.5"}, 21624),
        ({"StatusCallback": "https://my_host.example.com/x"}, 21609),
        ({"StatusCallback": "/status"}, 21609),
        ({"StatusCallback": "https://example.com:99999/x"}, 21609),
        ({"To": "+15005550001"}, 21211),
        ({"To": "+15005550002"}, 21612),
        ({"To": "+15005550003"}, 21408),
        ({"To": "+15005550004"}, 21610),
        ({"To": "+15005550009"}, 21614),
        ({"From": "+15005550001"}, 21212),
        ({"From": "+15005550007"}, 21606),
        ({"From": "+15005550008"}, 21611),
    ],
)
def test_wrong_parameter_is_refused_with_twilios_code(
    simulator: RunningSimulator, fields: dict[str, str | list[str]], code: int
) -> None:
    answer = simulator.http.post(MESSAGES, data={"To": DANA, "From": OURS, "Body": "Hi"} | fields)
    document = answer.json()
    assert (answer.status_code, document["code"], document["status"]) == (400, code, 400)
    assert set(document) == {"code", "message", "more_info", "status"}
    assert document["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert simulator.messages()["messages"] == []


@pytest.mark.parametrize(
    "fields",
    [
        {"Body": "x" * 1600},
        {"ValidityPeriod": "36000"},
        {"From": "+15005550006"},
        {"From": "SEGUE"},
        {"StatusCallback": "http://127.0.0.1:9/status?attempt=a"},
        {"Body": "", "MediaUrl": "https://example.com/a"},
    ],
)
def test_limits_themselves_are_allowed(simulator: RunningSimulator, fields: dict[str, str]) -> None:
    answer = simulator.http.post(MESSAGES, data={"To": DANA, "From": OURS, "Body": "Hi"} | fields)
    assert answer.status_code == 201


def test_json_is_refused(simulator: RunningSimulator) -> None:
    assert simulator.http.post(MESSAGES, json={"To": DANA}).status_code == 415


def test_wrong_password_is_refused_everywhere(simulator: RunningSimulator) -> None:
    client = simulator.client(token="wrong")
    with pytest.raises(TwilioRestException) as create:
        client.messages.create(to=DANA, from_=OURS, body="Hi")
    with pytest.raises(TwilioRestException) as fetch:
        client.messages("SM1").fetch()
    with pytest.raises(TwilioException) as listing:
        client.messages.list()
    assert (create.value.status, create.value.code) == (401, 20003)
    assert (fetch.value.status, fetch.value.code) == (401, 20003)
    assert listing.value.args[1].status_code == 401


def test_other_account_and_missing_credentials_are_refused(simulator: RunningSimulator) -> None:
    other = simulator.http.get(MESSAGES.replace(ACCOUNT_SID, "AC" + "9" * 32))
    anonymous = httpx.get(simulator.url + MESSAGES)
    assert (other.status_code, anonymous.status_code) == (401, 401)
    assert anonymous.headers["www-authenticate"].startswith("Basic")


def test_unknown_message_and_unknown_path_are_404_in_twilios_form(
    client: Client, simulator: RunningSimulator
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        client.messages("SM" + "0" * 32).fetch()
    assert (caught.value.status, caught.value.code) == (404, 20404)
    unknown = simulator.http.get("/2010-04-01/Nothing.json")
    assert (unknown.status_code, unknown.json()["code"]) == (404, 20404)


def test_list_is_newest_first_with_both_directions(
    client: Client, simulator: RunningSimulator
) -> None:
    client.messages.create(to=DANA, from_=OURS, body="one")
    simulator.text(**{"from": DANA, "to": OURS, "body": "two", "deliver": False})
    client.messages.create(to="+14155550124", from_=OURS, body="three")
    listed = client.messages.list()
    assert [message.body for message in listed] == ["three", "two", "one"]
    assert [message.direction for message in listed] == ["outbound-api", "inbound", "outbound-api"]
    assert [message.body for message in client.messages.list(to=DANA)] == ["one"]
    assert [message.body for message in client.messages.list(to=OURS)] == ["two"]
    assert [message.body for message in client.messages.list(from_=DANA)] == ["two"]
    assert client.messages.list(to="+14155550999") == []


def test_pages_do_not_shift_while_messages_arrive(client: Client) -> None:
    sids = [client.messages.create(to=DANA, from_=OURS, body=str(n)).sid for n in range(7)]
    page = client.messages.page(to=DANA, page_size=3)
    seen = [message.sid for message in page]
    client.messages.create(to=DANA, from_=OURS, body="late")
    while page.next_page_url:
        page = page.next_page()
        seen += [message.sid for message in page]
    assert seen == sids[::-1]
    assert len(client.messages.list(to=DANA, page_size=2)) == 8
    assert len(client.messages.list(limit=5, page_size=5)) == 5


def test_last_page_has_no_next(simulator: RunningSimulator, client: Client) -> None:
    for body in ("one", "two"):
        client.messages.create(to=DANA, from_=OURS, body=body)
    document = simulator.http.get(MESSAGES, params={"PageSize": 2}).json()
    assert document["next_page_uri"] is None
    assert (document["page"], document["page_size"], document["start"]) == (0, 2, 0)
    second = simulator.http.get(MESSAGES, params={"PageSize": 1, "Page": 1}).json()
    assert [message["body"] for message in second["messages"]] == ["one"]


def test_page_size_and_dates_are_checked(simulator: RunningSimulator) -> None:
    assert simulator.http.get(MESSAGES, params={"PageSize": 1001}).status_code == 400
    assert simulator.http.get(MESSAGES, params={"DateSent>": "yesterday"}).status_code == 400
    assert simulator.http.get(MESSAGES, params={"PageToken": "PASM1"}).status_code == 400


def test_sent_dates_filter_what_was_sent(client: Client, simulator: RunningSimulator) -> None:
    simulator.text(**{"from": DANA, "to": OURS, "body": "in", "deliver": False})
    moment = datetime.now(UTC)
    hour = timedelta(hours=1)
    assert len(client.messages.list(date_sent_after=moment - hour)) == 1
    assert len(client.messages.list(date_sent_after=moment + hour)) == 0
    assert len(client.messages.list(date_sent_before=moment + hour)) == 1
    assert len(client.messages.list(date_sent_before=moment - hour)) == 0
    assert len(client.messages.list(date_sent=str(client.messages.list()[0].date_sent.date()))) == 1


@pytest.mark.parametrize("key", ["DateSent>", "DateSent>="])
def test_inequality_is_part_of_the_key(simulator: RunningSimulator, key: str) -> None:
    simulator.text(**{"from": DANA, "to": OURS, "body": "in", "deliver": False})
    listed = simulator.http.get(MESSAGES, params={key: "2020-01-01T00:00:00Z"}).json()
    assert len(listed["messages"]) == 1
    listed = simulator.http.get(MESSAGES, params={key: "2999-01-01"}).json()
    assert listed["messages"] == []


def test_text_on_its_way_passes_no_sent_date() -> None:
    moment = now()
    store = MessageStore(limit=2)
    message = text_to(store, DANA, moment)
    wanted = MessageFilter(sent_from=moment - timedelta(days=1))
    assert not wanted.matches(message)
    message.move("sent", None)
    assert wanted.matches(message)


def test_oldest_messages_are_forgotten_first() -> None:
    store = MessageStore(limit=2)
    first, second, third = (text_to(store, number, now()) for number in (DANA, ORA, DANA))
    assert store.get(first.sid) is None
    assert list(store.newest_first()) == [third, second]
    assert list(store.newest_first(to=DANA)) == [third]
    assert [text.handset for text in store.handsets()] == [DANA, ORA]
    fourth = text_to(store, DANA, now())
    assert list(store.newest_first(to=ORA)) == []
    assert [text.handset for text in store.handsets()] == [DANA]
    assert store.conversation(DANA) == [third, fourth]


def text_to(store: MessageStore, number: str, moment: datetime) -> Message:
    message = Message(
        number=store.take_number(),
        sid=f"SM{uuid4().hex}",
        to=number,
        from_number=OURS,
        body="Hi",
        direction="outbound-api",
        status="queued",
        date_created=moment,
        date_updated=moment,
    )
    store.add(message)
    return message
