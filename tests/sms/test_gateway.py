"""How the gateway reads the provider's answers, and that errors hold no number or text."""

import asyncio
import logging
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.messaging.ports import (
    Accepted,
    ListedMessage,
    OutcomeUnknown,
    ProviderUnavailableError,
    Refused,
    SendResult,
)
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MessageStatus
from sms.gateway import TwilioGateway
from tests.sms.conftest import OURS, SECRET, THEIRS, MakeGateway, Recorder, answer, call

HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
NOW = datetime.now(UTC).replace(microsecond=0)


def error(status: int, code: int | None, **more: object) -> bytes:
    """Write an error as Twilio does."""
    body = {"code": code, "message": f"'To' {THEIRS} is not good", "status": status, **more}
    return answer(status, body)


def rfc9457(status: int, code: int, claimed: int) -> bytes:
    """Write an error as Twilio's newer services do."""
    body = {"type": "https://x", "title": f"{THEIRS}", "status": claimed, "code": code}
    return answer(status, body, kind="application/problem+json")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (error(400, 21211), Refused(400, 21211)),
        (error(401, 20003), Refused(401, 20003)),
        (error(404, 20404), Refused(404, 20404)),
        (error(429, 20429), Refused(429, 20429)),
        (error(400, None), Refused(400, None)),
        (answer(400, {"message": "no code"}), Refused(400, None)),
        (answer(400, HTML, kind="text/html"), Refused(400, None)),
        (answer(429, HTML, kind="text/html"), Refused(429, None)),
        (answer(403, b""), Refused(403, None)),
        (answer(400, ["odd"]), Refused(400, None)),
        (answer(400, {"code": "odd"}), Refused(400, None)),
        (rfc9457(400, 21610, 400), Refused(400, 21610)),
        (error(408, 20408), OutcomeUnknown(408, 20408)),
        (error(500, 20500), OutcomeUnknown(500, 20500)),
        (error(503, 20503), OutcomeUnknown(503, 20503)),
        (answer(502, HTML, kind="text/html"), OutcomeUnknown(502, None)),
        (answer(504, b""), OutcomeUnknown(504, None)),
        (rfc9457(500, 20500, 400), OutcomeUnknown(500, 20500)),
        (answer(302, b"", more="Location: /elsewhere\r\n"), OutcomeUnknown(302, None)),
        (answer(307, b"", more="Location: /elsewhere\r\n"), OutcomeUnknown(307, None)),
        (answer(201, b""), OutcomeUnknown(201, None)),
        (answer(201, b"{}"), OutcomeUnknown(201, None)),
        (answer(201, HTML), OutcomeUnknown(201, None)),
        (answer(201, ["odd"]), OutcomeUnknown(201, None)),
        (answer(200, {"sid": None}), OutcomeUnknown(200, None)),
        (answer(201, b'{"sid": "SM1", "stat'), OutcomeUnknown(201, None)),
        (answer(201)[:-5], OutcomeUnknown(201, None)),
        (b"no HTTP at all\r\n\r\n", OutcomeUnknown()),
        (b"HTTP/1.1 201 Created\r\n", OutcomeUnknown(201, None)),
        (b"", OutcomeUnknown()),
        (None, OutcomeUnknown()),
    ],
)
async def test_answer_is_read_and_call_not_repeated(
    recorder: Recorder, gateway: TwilioGateway, given: bytes | None, expected: SendResult
) -> None:
    recorder.answers = [given]
    recorder.closes = True

    assert await gateway.create(call()) == expected
    await asyncio.sleep(0.05)
    assert recorder.count(b" HTTP/1.1\r\n") == 1, "nothing may be repeated or followed"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("queued", MessageStatus.QUEUED),
        ("accepted", MessageStatus.ACCEPTED),
        ("sending", MessageStatus.QUEUED),
        ("failed", MessageStatus.FAILED),
        ("partially_delivered", MessageStatus.SENT),
        ("refused", MessageStatus.ACCEPTED),
        ("quantum", MessageStatus.ACCEPTED),
        (None, MessageStatus.ACCEPTED),
    ],
)
async def test_message_with_an_id_is_accepted_whatever_its_status(
    recorder: Recorder, gateway: TwilioGateway, said: str | None, expected: MessageStatus
) -> None:
    shown = {"sid": "SM1", "status": said, "from": None, "to": THEIRS, "body": SECRET}
    recorder.answers = [answer(201, shown)]

    assert await gateway.create(call()) == Accepted("SM1", expected, None)


async def test_request_has_its_fields(recorder: Recorder, gateway: TwilioGateway) -> None:
    made = call()

    await gateway.create(made)

    head, _, body = recorder.received.decode().partition("\r\n\r\n")
    assert head.startswith(f"POST /2010-04-01/Accounts/AC{'0' * 32}/Messages.json HTTP/1.1\r\n")
    assert parse_qs(body) == {
        "To": [THEIRS],
        "From": [OURS],
        "Body": [SECRET],
        "ValidityPeriod": ["3600"],
        "StatusCallback": [
            (
                f"https://segue.example.com/webhooks/twilio/status?attempt={made.attempt_id.hex}"
                "#rc=5&rp=5xx,ct,rt&ct=2000&rt=4000"
            )
        ],
    }


async def test_edge_and_region_do_not_change_the_address(
    recorder: Recorder, make_gateway: MakeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "dublin")
    monkeypatch.setenv("TWILIO_REGION", "ie1")

    assert isinstance(await make_gateway().create(call()), Accepted)


async def test_base_address_may_have_a_path(recorder: Recorder, make_gateway: MakeGateway) -> None:
    await make_gateway(f"{recorder.url}/twilio").create(call())

    assert recorder.received.startswith(b"POST /twilio/2010-04-01/Accounts/")


def entry(
    sid: str | None = "SM1", age: int = 0, *, from_: str | None = OURS, **changes: object
) -> dict[str, object]:
    created = NOW - timedelta(seconds=age)
    return {
        "sid": sid,
        "body": "Hi",
        "direction": "outbound-api",
        "status": "sent",
        "date_created": format_datetime(created),
        "error_code": None,
        "from": from_,
        **changes,
    }


def page(*entries: dict[str, object], following: bool = False) -> bytes:
    uri = "/2010-04-01/Accounts/AC/Messages.json?Page=1" if following else None
    return answer(200, {"messages": list(entries), "next_page_uri": uri})


async def listed(gateway: TwilioGateway, age: float = 60) -> list[ListedMessage]:
    return list(await gateway.list_outbound(THEIRS, NOW - timedelta(seconds=age)))


async def test_list_filters_by_recipient_only(recorder: Recorder, gateway: TwilioGateway) -> None:
    recorder.answers = [page()]

    assert await listed(gateway) == []

    target = recorder.received.split()[1].decode()
    assert parse_qs(urlsplit(target).query) == {"To": [THEIRS], "PageSize": ["100"]}


async def test_listed_message_is_translated(recorder: Recorder, gateway: TwilioGateway) -> None:
    recorder.answers = [
        page(
            entry("SM2", status="undelivered", error_code=30003, from_=None),
            entry("SM1", age=60, body=None),
        )
    ]

    assert await listed(gateway) == [
        ListedMessage("SM2", "Hi", MessageStatus.UNDELIVERED, NOW, 30003, None),
        ListedMessage("SM1", "", MessageStatus.SENT, NOW - timedelta(minutes=1), None, OURS),
    ]


async def test_inbound_and_older_messages_are_left_out(
    recorder: Recorder, gateway: TwilioGateway
) -> None:
    recorder.answers = [
        page(entry("SM3", direction="inbound"), entry("SM2"), entry("SM1", age=61)),
    ]

    assert [message.sid for message in await listed(gateway)] == ["SM2"]


async def test_second_containing_the_start_is_listed(
    recorder: Recorder, gateway: TwilioGateway
) -> None:
    recorder.answers = [page(entry(age=60))]

    assert len(await listed(gateway, age=59.5)) == 1


async def test_pages_are_read_until_one_is_too_old(
    recorder: Recorder, gateway: TwilioGateway
) -> None:
    recorder.answers = [
        page(entry("SM4"), entry("SM3", age=70), following=True),
        page(entry("SM2", age=30), following=True),
        page(entry("SM1", age=80), following=True),
        page(entry("SM0", age=90)),
    ]

    assert [message.sid for message in await listed(gateway)] == ["SM4", "SM2"]
    assert recorder.count(b"GET ") == 3


@pytest.mark.parametrize(
    "answers",
    [
        [page(entry(), following=True)],
        [page(entry(), following=True), error(500, 20500)],
        [page(entry(), following=True), error(429, 20429)],
        [error(401, 20003)],
        [answer(502, HTML, kind="text/html")],
        [answer(200, HTML, kind="text/html")],
        [answer(200, b"{}")],
        [answer(200, ["odd"])],
        [page(entry(date_created=None))],
        [page(entry(date_created="yesterday"))],
        [page(entry(sid=None))],
        [page(entry(direction=None))],
        [answer(302, b"", more="Location: /elsewhere\r\n")],
        [None],
        [page(entry())[:-5]],
    ],
    ids=[
        "no end",
        "500 on the second page",
        "429 on the second page",
        "401",
        "HTML error",
        "HTML",
        "no list",
        "no object",
        "no date",
        "bad date",
        "no id",
        "no direction",
        "redirect",
        "dropped",
        "cut off",
    ],
)
async def test_incomplete_list_is_an_error(
    recorder: Recorder, gateway: TwilioGateway, answers: list[bytes | None]
) -> None:
    recorder.answers = list(answers)
    recorder.closes = True

    with pytest.raises(ProviderUnavailableError):
        await listed(gateway)


async def test_questions_time_out(recorder: Recorder, make_gateway: MakeGateway) -> None:
    gateway = make_gateway(connect=0.2, read=0.1)
    recorder.pause = 1

    with pytest.raises(ProviderUnavailableError):
        await listed(gateway)
    with pytest.raises(ProviderUnavailableError):
        await gateway.line_type(THEIRS)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"type": "mobile", "error_code": None}, LineType.MOBILE),
        ({"type": "landline"}, LineType.LANDLINE),
        ({"type": "tollFree"}, LineType.TOLL_FREE),
        ({"type": "nonFixedVoip"}, LineType.NON_FIXED_VOIP),
        ({"type": "unknown"}, LineType.UNKNOWN),
        ({"type": "satellite"}, LineType.UNKNOWN),
        ({"type": None}, LineType.UNKNOWN),
        ({"type": "landline", "error_code": 60601}, LineType.UNKNOWN),
        ({}, LineType.UNKNOWN),
        (None, LineType.UNKNOWN),
    ],
)
async def test_line_type_is_translated(
    recorder: Recorder,
    gateway: TwilioGateway,
    facts: dict[str, object] | None,
    expected: LineType,
) -> None:
    recorder.answers = [answer(200, {"valid": True, "line_type_intelligence": facts})]

    assert await gateway.line_type(THEIRS) is expected
    assert recorder.received.startswith(
        b"GET /v2/PhoneNumbers/+14155550123?Fields=line_type_intelligence HTTP/1.1\r\n"
    )


@pytest.mark.parametrize(
    "given", [error(404, 20404), error(429, 20429), answer(200, HTML), error(500, 20500), None]
)
async def test_failed_look_up_returns_no_line_type(
    recorder: Recorder, gateway: TwilioGateway, given: bytes | None
) -> None:
    recorder.answers = [given]

    with pytest.raises(ProviderUnavailableError):
        await gateway.line_type(THEIRS)


@pytest.mark.parametrize(
    "given", [answer(), error(400, 21211), answer(502, HTML), answer(201, HTML), None]
)
async def test_numbers_and_texts_stay_inside(
    recorder: Recorder,
    gateway: TwilioGateway,
    caplog: pytest.LogCaptureFixture,
    given: bytes | None,
) -> None:
    caplog.set_level(logging.DEBUG)
    recorder.answers = [given]
    shown: list[str] = []

    shown.append(repr(await gateway.create(call())))
    for question in (gateway.list_outbound(THEIRS, NOW), gateway.line_type(THEIRS)):
        try:
            shown.append(repr(await question))
        except ProviderUnavailableError as caught:
            shown += [*traceback.format_exception(caught), repr(caught.__context__)]

    everything = "\n".join([*shown, caplog.text])
    assert THEIRS.removeprefix("+") not in everything
    assert SECRET not in everything
    assert SECRET.split()[0] not in everything


async def test_closing_waits_for_the_call_under_way(
    recorder: Recorder, make_gateway: MakeGateway
) -> None:
    gateway = make_gateway()
    recorder.pause = 0.2
    calling = asyncio.create_task(gateway.create(call()))
    await asyncio.sleep(0.1)

    await gateway.aclose()

    assert isinstance(await calling, Accepted)
