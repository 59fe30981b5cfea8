"""The contract of a gateway, for the fake and the real one."""

import asyncio
from base64 import b64encode
from datetime import UTC, datetime, timedelta, timezone
from typing import cast
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest

from domain.messaging.deadline import Deadline
from domain.messaging.ports import (
    Accepted,
    NotCalled,
    OutcomeUnknown,
    ProviderUnavailableError,
    Refused,
    SendRequest,
    SentLists,
)
from domain.statuses.contacts import LineType
from domain.statuses.messaging import MessageStatus
from simulator.habits import Habit
from sms.gateway import CALLBACK_OVERRIDES
from tests.contracts.conftest import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    CALLBACKS,
    OURS,
    THEIRS,
    Provider,
    TwilioProvider,
)

PICTURE = b"\x89PNG\r\n\x1a\n and pixels"
SERVICE = "MG" + "a" * 32
A_MINUTE_AGO = timedelta(minutes=-1)


def magic(digits: str) -> str:
    return f"+14155557{digits}"


def call(
    to: str = THEIRS, body: str = "Hello", *, seconds: float = 5, **changes: object
) -> SendRequest:
    facts: dict[str, object] = {
        "attempt_id": uuid4(),
        "to": to,
        "from_phone": OURS,
        "messaging_service_sid": None,
        "body": body,
        "media_urls": (),
        "validity_seconds": 3600,
        "deadline": Deadline.within(timedelta(seconds=seconds)),
    }
    return SendRequest(**(facts | changes))  # type: ignore[arg-type]


async def test_text_from_a_number_is_accepted(provider: Provider) -> None:
    answer = await provider.gateway.create(call())

    assert isinstance(answer, Accepted)
    assert answer.sid.startswith("SM")
    assert answer.status is MessageStatus.QUEUED
    assert answer.from_phone == OURS


async def test_text_from_a_service_has_no_number_yet(provider: Provider) -> None:
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
async def test_body_is_sent_and_listed_exactly(provider: Provider, body: str) -> None:
    await provider.gateway.create(call(body=body))
    listed = await provider.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)

    assert provider.bodies(THEIRS) == [body]
    assert [message.body for message in listed] == [body]


async def test_picture_without_text_is_accepted(provider: Provider) -> None:
    answer = await provider.gateway.create(
        call(body="", media_urls=["https://example.com/a.png", "https://example.com/b.png"])
    )

    assert isinstance(answer, Accepted)


@pytest.mark.parametrize(
    ("digits", "expected"),
    [("614", Refused(400, 21614)), ("401", Refused(401, 20003)), ("429", Refused(429, 20429))],
)
async def test_refusal_has_its_code_and_creates_nothing(
    provider: Provider, digits: str, expected: Refused
) -> None:
    answer = await provider.gateway.create(call(magic(digits)))

    assert answer == expected
    assert provider.bodies(magic(digits)) == []
    assert provider.calls(magic(digits)) == 1


async def test_throttled_call_is_not_repeated(provider: Provider) -> None:
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
async def test_lost_answer_is_unknown_and_listed_if_created(
    provider: Provider, digits: str, expected: OutcomeUnknown, created: int
) -> None:
    started = datetime.now(UTC)

    answer = await provider.gateway.create(call(magic(digits)))
    listed = await provider.gateway.list_outbound(magic(digits), started)

    assert answer == expected
    assert provider.calls(magic(digits)) == 1, "a create is never repeated"
    assert [message.body for message in listed] == ["Hello"] * created


@pytest.mark.parametrize("habit", list(Habit))
async def test_altered_text_is_accepted_as_not_intact(provider: Provider, habit: Habit) -> None:
    body = "It\u2019s time"
    provider.alter_texts(habit)

    answer = await provider.gateway.create(call(body=body))

    assert isinstance(answer, Accepted)
    assert not answer.is_intact
    assert provider.bodies(THEIRS) == [body]
    listed = await provider.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)
    shown = [(one.to, one.body) for one in listed]
    is_listed = habit.recipient(THEIRS) == THEIRS
    assert shown == ([(THEIRS, habit.body(body))] if is_listed else [])


async def test_call_after_the_deadline_is_not_made(provider: Provider) -> None:
    answer = await provider.gateway.create(call(seconds=-0.001))

    assert answer == NotCalled()
    assert provider.calls(THEIRS) == 0
    assert provider.bodies(THEIRS) == []


async def test_list_is_by_recipient_and_newest_first(provider: Provider) -> None:
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


async def test_list_leaves_out_older_texts(provider: Provider) -> None:
    await provider.gateway.create(call(body="old"))
    since = datetime.now(UTC) + timedelta(seconds=1.1)
    await asyncio.sleep(2.2)
    await provider.gateway.create(call(body="new"))

    listed = await provider.gateway.list_outbound(THEIRS, since)

    assert [message.body for message in listed] == ["new"]


async def test_empty_list_is_no_error(provider: Provider) -> None:
    since = datetime.now(UTC) + A_MINUTE_AGO

    assert list(await provider.gateway.list_outbound(THEIRS, since)) == []


async def test_failed_list_is_an_error(provider: Provider) -> None:
    await provider.gateway.create(call())
    provider.break_lists()

    with pytest.raises(ProviderUnavailableError):
        await provider.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)


def just_now() -> tuple[datetime, datetime]:
    """Return a window from a minute ago until after the test."""
    now = datetime.now(UTC)
    return now + A_MINUTE_AGO, now + timedelta(seconds=30)


async def test_inbound_list_holds_inbound_texts_only(
    provider: Provider,
) -> None:
    await provider.gateway.create(call(body="ours"))
    first = await provider.text_us(" Yes, I'd \N{WHITE HEAVY CHECK MARK} \n", service=SERVICE)
    second = await provider.text_us("STOP")

    page = await provider.gateway.list_inbound(*just_now())

    assert page.more is None
    texts = {text.sid: text for text in page.texts}
    assert list(texts) == [second, first]
    assert (texts[first].phone, texts[first].to) == (THEIRS, OURS)
    assert texts[first].body == " Yes, I'd \N{WHITE HEAVY CHECK MARK} \n"
    assert texts[first].messaging_service_sid == SERVICE
    assert texts[second].messaging_service_sid is None
    assert texts[second].pictures == 0
    assert texts[second].sent_at.utcoffset() == timedelta(0)
    assert abs(texts[second].sent_at - datetime.now(UTC)) < timedelta(seconds=5)


async def test_inbound_list_leaves_out_texts_outside_its_window(provider: Provider) -> None:
    early = await provider.text_us("early")
    await asyncio.sleep(2.1)
    late = await provider.text_us("late")
    between = datetime.now(UTC) - timedelta(seconds=1)

    younger = await provider.gateway.list_inbound(between, datetime.now(UTC))
    older = await provider.gateway.list_inbound(between + A_MINUTE_AGO, between)

    assert [text.sid for text in younger.texts] == [late]
    assert [text.sid for text in older.texts] == [early]


async def test_inbound_list_includes_the_second_of_its_start(provider: Provider) -> None:
    await provider.text_us("now")
    [text] = (await provider.gateway.list_inbound(*just_now())).texts

    since = text.sent_at.replace(microsecond=999_999)
    page = await provider.gateway.list_inbound(since, since + timedelta(minutes=1))

    assert [one.sid for one in page.texts] == [text.sid]


async def test_inbound_list_accepts_times_in_any_zone(provider: Provider) -> None:
    sid = await provider.text_us("now")
    since, until = (
        moment.astimezone(timezone(timedelta(hours=hours)))
        for moment, hours in zip(just_now(), (5, -7), strict=True)
    )

    page = await provider.gateway.list_inbound(since, until)

    assert [text.sid for text in page.texts] == [sid]


async def test_inbound_list_of_one_number_holds_its_texts_only(provider: Provider) -> None:
    """Whatever was sent: outbound texts fill pages of the account's list."""
    provider.short_pages()
    sid = await provider.text_us("STOP")
    for number in range(5):
        await provider.gateway.create(call(body=str(number)))

    page = await provider.gateway.list_inbound(*just_now(), to=OURS)
    other = await provider.gateway.list_inbound(*just_now(), to="+12025550199")

    assert ([text.sid for text in page.texts], page.more) == ([sid], None)
    assert (list(other.texts), other.more) == ([], None)


async def test_sent_list_is_paged_and_filtered_by_number(provider: Provider) -> None:
    """As the reconciliation after a restore needs it."""
    provider.short_pages()
    since = datetime.now(UTC) + A_MINUTE_AGO
    await provider.text_us("not ours")
    answers = [await provider.gateway.create(call(body=str(number))) for number in range(3)]
    other = await provider.gateway.create(call(body="other", from_phone="+12025550111"))
    lists = cast("SentLists", provider.gateway)

    first = await lists.list_sent(since, from_phone=OURS)
    assert first.more is not None
    second = await lists.list_sent(since, first.more, from_phone=OURS)
    everything = [await lists.list_sent(since)]
    while everything[-1].more is not None:
        everything.append(await lists.list_sent(since, everything[-1].more))
    later = await lists.list_sent(datetime.now(UTC) - A_MINUTE_AGO)

    sids = [answer.sid for answer in answers if isinstance(answer, Accepted)]
    listed = [*first.texts, *second.texts]
    assert ([text.sid for text in listed], second.more) == (sids[::-1], None)
    assert [(text.to, text.from_phone, text.body) for text in first.texts] == [
        (THEIRS, OURS, "2"),
        (THEIRS, OURS, "1"),
    ]
    assert isinstance(other, Accepted)
    assert {text.sid for page in everything for text in page.texts} == {*sids, other.sid}
    assert (list(later.texts), later.more) == ([], None)
    provider.break_lists()
    with pytest.raises(ProviderUnavailableError):
        await lists.list_sent(since)


async def test_inbound_list_is_paged(provider: Provider) -> None:
    provider.short_pages()
    sids = [await provider.text_us(str(number)) for number in range(5)]
    window = just_now()

    pages = [await provider.gateway.list_inbound(*window)]
    while (more := pages[-1].more) is not None:
        pages.append(await provider.gateway.list_inbound(*window, more))

    assert [[text.sid for text in page.texts] for page in pages] == [
        [sids[4], sids[3]],
        [sids[2], sids[1]],
        [sids[0]],
    ]


async def test_failed_inbound_list_is_an_error(provider: Provider) -> None:
    await provider.text_us("Hello")
    provider.break_lists()

    with pytest.raises(ProviderUnavailableError):
        await provider.gateway.list_inbound(*just_now())


async def test_pictures_of_a_text_are_listed(provider: Provider) -> None:
    there = ("https://example.com/a.png", "https://example.com/b.jpg")
    sid = await provider.text_us("", *there)

    [text] = (await provider.gateway.list_inbound(*just_now())).texts
    pictures = await provider.gateway.pictures(sid)

    assert (text.sid, text.body, text.pictures) == (sid, "", 2)
    assert len(set(pictures)) == 2
    assert all(picture.startswith("http") for picture in pictures)


async def test_picture_comes_from_the_provider_and_from_nowhere_else(provider: Provider) -> None:
    """The simulator redirects to whatever address a picture was sent with."""
    kept = f"data:image/png;base64,{b64encode(PICTURE).decode()}"
    elsewhere = ("https://example.com/a.png", "http://127.0.0.1:9/b.png", "file:///etc/passwd")
    sid = await provider.text_us("", kept, *elsewhere)
    here, *others = await provider.gateway.pictures(sid)

    found = await provider.gateway.attachment(here)
    assert found is not None
    assert (found.content, found.content_type) == (PICTURE, "image/png")
    wrong = (
        *others,
        here + "0",
        f"{here}/../x",
        here.replace("http", "ftp", 1),
        here.replace("//", "//x@"),
        here.partition("/2010")[0] + ".example.com/2010" + here.partition("/2010")[2],
        "https://example.com/a.png",
        "file:///etc/passwd",
        "",
    )
    for address in wrong:
        assert await provider.gateway.attachment(address) is None, address


async def test_pictures_of_an_unknown_text_are_an_error(provider: Provider) -> None:
    with pytest.raises(ProviderUnavailableError):
        await provider.gateway.pictures(f"MM{uuid4().hex}")


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (MessageStatus.QUEUED, None),
        (MessageStatus.SENT, None),
        (MessageStatus.DELIVERED, None),
        (MessageStatus.UNDELIVERED, 30003),
    ],
)
async def test_message_is_fetched_with_its_status(
    provider: Provider, status: MessageStatus, code: int | None
) -> None:
    answer = await provider.gateway.create(call())
    assert isinstance(answer, Accepted)
    provider.move(answer.sid, status, code)

    message = await provider.gateway.message(answer.sid)

    assert message is not None
    assert (message.sid, message.status, message.error_code) == (answer.sid, status, code)
    assert message.from_phone == OURS


async def test_missing_message_is_none_and_failed_fetch_an_error(
    provider: Provider,
) -> None:
    assert await provider.gateway.message(f"SM{uuid4().hex}") is None
    provider.break_lists()
    with pytest.raises(ProviderUnavailableError):
        await provider.gateway.message(f"SM{uuid4().hex}")


async def test_picture_address_redirects_to_the_picture(twilio: TwilioProvider) -> None:
    sid = await twilio.text_us("", "https://example.com/a.png")

    [picture] = await twilio.gateway.pictures(sid)

    async with httpx.AsyncClient(auth=(ACCOUNT_SID, AUTH_TOKEN)) as client:
        found = await client.get(picture)
    assert found.is_redirect
    assert found.headers["location"] == "https://example.com/a.png"
    assert not picture.endswith(".json")


async def test_failed_or_incomplete_inbound_text_is_not_listed(
    twilio: TwilioProvider,
) -> None:
    for state in (MessageStatus.FAILED, MessageStatus.SENDING):
        twilio.move(await twilio.text_us(state.value), state)

    assert list((await twilio.gateway.list_inbound(*just_now())).texts) == []


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
async def test_line_type_is_looked_up(provider: Provider, to: str, expected: LineType) -> None:
    assert await provider.gateway.line_type(to) is expected


async def test_create_passes_every_field_to_twilio(twilio: TwilioProvider) -> None:
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
    assert address.fragment == CALLBACK_OVERRIDES


async def test_wrong_credentials_refuse_a_call_and_fail_a_list(
    twilio: TwilioProvider,
) -> None:
    twilio.simulator.behavior.credentials_ok = False

    assert await twilio.gateway.create(call()) == Refused(401, 20003)
    with pytest.raises(ProviderUnavailableError):
        await twilio.gateway.list_outbound(THEIRS, datetime.now(UTC) + A_MINUTE_AGO)
    with pytest.raises(ProviderUnavailableError):
        await twilio.gateway.line_type(THEIRS)


async def test_long_list_is_read_to_its_end(
    twilio: TwilioProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sms.gateway._PAGE_SIZE", 10)
    since = datetime.now(UTC)
    for number in range(23):
        await twilio.gateway.create(call(body=str(number)))

    listed = await twilio.gateway.list_outbound(THEIRS, since)

    assert len({message.sid for message in listed}) == 23
