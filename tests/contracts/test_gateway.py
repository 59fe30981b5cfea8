"""What every provider must do, the fake and the real one alike."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest

from domain.ports import (
    Accepted,
    Call,
    NotCalled,
    OutcomeUnknown,
    ProviderUnavailableError,
    Refused,
)
from domain.statuses import LineType, MessageStatus
from tests.contracts.conftest import CALLBACKS, Provider, TwilioProvider

OURS = "+12025550100"
THEIRS = "+14155550123"
SERVICE = "MG" + "a" * 32
A_MINUTE_AGO = timedelta(minutes=-1)


def magic(digits: str) -> str:
    return f"+14155557{digits}"


def call(to: str = THEIRS, body: str = "Hello", *, seconds: float = 5, **changes: object) -> Call:
    facts: dict[str, object] = {
        "attempt_id": uuid4(),
        "to": to,
        "from_phone": OURS,
        "messaging_service_sid": None,
        "body": body,
        "media_urls": (),
        "validity_seconds": 3600,
        "deadline": time.monotonic() + seconds,
    }
    return Call(**(facts | changes))  # type: ignore[arg-type]


async def test_a_text_from_a_number_is_accepted(provider: Provider) -> None:
    answer = await provider.gateway.create(call())

    assert isinstance(answer, Accepted)
    assert answer.sid.startswith("SM")
    assert answer.status is MessageStatus.QUEUED
    assert answer.from_phone == OURS


async def test_a_messaging_service_names_no_number_yet(provider: Provider) -> None:
    answer = await provider.gateway.create(
        call(from_phone=None, messaging_service_sid=SERVICE),
    )

    assert isinstance(answer, Accepted)
    assert answer.status is MessageStatus.ACCEPTED
    assert answer.from_phone is None


@pytest.mark.parametrize(
    "body",
    [
        "plain",
        " leading and trailing \n",
        "line\nbreaks\r\nof both kinds",
        "a + b & c = 100 % of d?",
        "emoji \N{GRINNING FACE} and \N{FAMILY} and \u20ac",
        "%41+%2B &amp; <b>",
        "\N{ARABIC LETTER ALEF}\N{COMBINING ACUTE ACCENT}",
    ],
)
async def test_a_body_arrives_and_is_listed_exactly(provider: Provider, body: str) -> None:
    await provider.gateway.create(call(body=body))
    listed = await provider.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)

    assert provider.bodies(THEIRS) == [body]
    assert [message.body for message in listed] == [body]


async def test_a_picture_may_go_without_words(provider: Provider) -> None:
    answer = await provider.gateway.create(
        call(body="", media_urls=["https://example.com/a.png", "https://example.com/b.png"])
    )

    assert isinstance(answer, Accepted)


@pytest.mark.parametrize(
    ("digits", "expected"),
    [("614", Refused(400, 21614)), ("401", Refused(401, 20003)), ("429", Refused(429, 20429))],
)
async def test_a_refusal_has_its_code_and_creates_nothing(
    provider: Provider, digits: str, expected: Refused
) -> None:
    answer = await provider.gateway.create(call(magic(digits)))

    assert answer == expected
    assert provider.bodies(magic(digits)) == []
    assert provider.calls(magic(digits)) == 1


async def test_too_many_requests_is_not_repeated_but_may_be_later(provider: Provider) -> None:
    answers = [await provider.gateway.create(call(magic("429"))) for _ in range(4)]

    assert answers[:3] == [Refused(429, 20429)] * 3
    assert isinstance(answers[3], Accepted)
    assert provider.calls(magic("429")) == 4


@pytest.mark.parametrize(
    ("digits", "expected", "created"),
    [
        ("500", OutcomeUnknown(500, 20500), 0),
        ("501", OutcomeUnknown(500, 20500), 1),
        ("502", OutcomeUnknown(502), 0),
        ("503", OutcomeUnknown(502), 1),
        ("504", OutcomeUnknown(), 1),
        ("505", OutcomeUnknown(), 0),
        ("506", OutcomeUnknown(), 1),
        ("507", OutcomeUnknown(), 0),
    ],
    ids=[
        "500, nothing created",
        "500, created",
        "HTML, nothing created",
        "HTML, created",
        "no answer, created",
        "no answer, nothing created",
        "dropped, created",
        "dropped, nothing created",
    ],
)
async def test_without_an_answer_the_outcome_is_unknown_and_the_list_tells(
    provider: Provider, digits: str, expected: OutcomeUnknown, created: int
) -> None:
    started = datetime.now(UTC)

    answer = await provider.gateway.create(call(magic(digits)))
    listed = await provider.gateway.list_outbound(magic(digits), started)

    assert answer == expected
    assert provider.calls(magic(digits)) == 1, "a create must never be repeated"
    assert [message.body for message in listed] == ["Hello"] * created


async def test_after_the_deadline_nothing_reaches_the_provider(provider: Provider) -> None:
    answer = await provider.gateway.create(call(seconds=-0.001))

    assert answer == NotCalled()
    assert provider.calls(THEIRS) == 0
    assert provider.bodies(THEIRS) == []


async def test_the_list_is_by_recipient_and_newest_first(provider: Provider) -> None:
    first = await provider.gateway.create(call(body="first"))
    await provider.gateway.create(call("+14155550124", "to another"))
    second = await provider.gateway.create(
        call(body="second", from_phone=None, messaging_service_sid=SERVICE)
    )

    listed = await provider.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)

    assert isinstance(first, Accepted)
    assert isinstance(second, Accepted)
    assert [(message.sid, message.body) for message in listed] == [
        (second.sid, "second"),
        (first.sid, "first"),
    ]
    assert listed[0].from_phone is None
    assert listed[1].from_phone == OURS
    assert all(message.created_at.utcoffset() == timedelta(0) for message in listed)


async def test_the_list_leaves_out_what_is_older(provider: Provider) -> None:
    await provider.gateway.create(call(body="old"))
    since = datetime.now(UTC) + timedelta(seconds=1.1)
    await asyncio.sleep(2.2)
    await provider.gateway.create(call(body="new"))

    listed = await provider.gateway.list_outbound(THEIRS, since)

    assert [message.body for message in listed] == ["new"]


async def test_an_empty_list_is_an_answer(provider: Provider) -> None:
    since = datetime.now(UTC) + A_MINUTE_AGO

    assert list(await provider.gateway.list_outbound(THEIRS, since)) == []


async def test_a_list_that_cannot_be_had_is_no_empty_list(provider: Provider) -> None:
    await provider.gateway.create(call())
    provider.break_lists()

    with pytest.raises(ProviderUnavailableError):
        await provider.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (THEIRS, LineType.MOBILE),
        (magic("006"), LineType.LANDLINE),
        (magic("801"), LineType.FIXED_VOIP),
        (magic("802"), LineType.UNKNOWN),
        (magic("803"), LineType.UNKNOWN),
        (magic("804"), LineType.UNKNOWN),
    ],
)
async def test_a_number_is_looked_up(provider: Provider, to: str, expected: LineType) -> None:
    assert await provider.gateway.line_type(to) is expected


async def test_twilio_is_told_all_there_is_to_a_call(twilio: TwilioProvider) -> None:
    made = call(
        media_urls=["https://example.com/a.png"],
        validity_seconds=4321,
        messaging_service_sid=SERVICE,
    )

    await twilio.gateway.create(made)
    [message] = twilio.simulator.messages.newest_first(THEIRS)

    assert message.from_number == OURS
    assert message.messaging_service_sid == SERVICE
    assert message.media_urls == ("https://example.com/a.png",)
    assert message.validity_period == 4321
    assert message.status_callback is not None
    address = urlsplit(message.status_callback)
    assert message.status_callback.partition("?")[0] == CALLBACKS
    assert parse_qs(address.query) == {"attempt": [made.attempt_id.hex]}


async def test_wrong_credentials_are_refused_and_prove_nothing_in_a_list(
    twilio: TwilioProvider,
) -> None:
    twilio.simulator.behaviour.credentials_ok = False

    assert await twilio.gateway.create(call()) == Refused(401, 20003)
    with pytest.raises(ProviderUnavailableError):
        await twilio.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)
    with pytest.raises(ProviderUnavailableError):
        await twilio.gateway.line_type(THEIRS)


async def test_a_long_list_is_read_to_its_end(twilio: TwilioProvider) -> None:
    since = datetime.now(UTC)
    for number in range(230):
        await twilio.gateway.create(call(body=str(number)))

    listed = await twilio.gateway.list_outbound(THEIRS, since)

    assert len({message.sid for message in listed}) == 230
