"""Twilio's webhooks: parsing, signatures, and refusals of anyone else."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from psycopg import OperationalError as DriverError
from sqlalchemy import text as statement
from sqlalchemy.exc import OperationalError

from api import problems, twilio
from api.app import MAX_BODY_BYTES
from api.body_limit import STRANGERS_BYTES, BodyLimit, Limits
from api.request_log import RequestLog
from domain.messaging.inbound import InboundText, StatusReport
from services.factory import Services
from settings import ApiSettings

INBOUND = "/webhooks/twilio/inbound"
STATUS = "/webhooks/twilio/status"
FORM = "application/x-www-form-urlencoded; charset=UTF-8"
ACCOUNT = "AC" + "0" * 32

Fields = Sequence[tuple[str, str]]

# The keys of a real request, in its order; Twilio leaves most of the location blank.
TEXT: Fields = [
    ("ToCountry", "US"),
    ("ToState", ""),
    ("SmsMessageSid", "SM1"),
    ("NumMedia", "0"),
    ("ToCity", ""),
    ("FromZip", ""),
    ("SmsSid", "SM1"),
    ("SmsStatus", "received"),
    ("Body", "Yes, gladly"),
    ("To", "+12025550100"),
    ("MessagingServiceSid", "MG" + "1" * 32),
    ("NumSegments", "1"),
    ("MessageSid", "SM1"),
    ("AccountSid", ACCOUNT),
    ("From", "+14155550123"),
    ("ApiVersion", "2010-04-01"),
]
REPORT: Fields = [
    ("SmsSid", "SM2"),
    ("SmsStatus", "undelivered"),
    ("MessageStatus", "undelivered"),
    ("To", "+14155550123"),
    ("MessageSid", "SM2"),
    ("AccountSid", ACCOUNT),
    ("From", "+12025550100"),
    ("ApiVersion", "2010-04-01"),
    ("ErrorCode", "30003"),
]


def changed(fields: Fields, **values: str | None) -> Fields:
    """Set fields, or remove those that are None."""
    kept = [(key, value) for key, value in fields if key not in values]
    return kept + [(key, value) for key, value in values.items() if value is not None]


@dataclass
class Stub:
    """A use case that records its input."""

    received: list[Any] = field(default_factory=list)
    error: Exception | None = None
    waits_for: asyncio.Event | None = None

    async def receive(self, given: Any) -> None:
        if self.waits_for is not None:
            await self.waits_for.wait()
        if self.error is not None:
            raise self.error
        self.received.append(given)

    def texts(self) -> list[InboundText]:
        assert all(isinstance(given, InboundText) for given in self.received)
        return self.received

    def reports(self) -> list[StatusReport]:
        assert all(isinstance(given, StatusReport) for given in self.received)
        return self.received


@pytest.fixture
def settings() -> ApiSettings:
    return ApiSettings.model_validate(
        {
            "database_url": "postgresql://nobody@127.0.0.1:9/none",
            "twilio_account_sid": ACCOUNT,
            "twilio_auth_token": "an auth token of tests",
            "public_base_url": "https://segue.test",
            "session_secret": "known to everybody, so of tests alone",
        }
    )


@pytest.fixture
def inbound() -> Stub:
    return Stub()


@pytest.fixture
def status_callbacks() -> Stub:
    return Stub()


class BackfillStub:
    """Counts how often a text may have been missed."""

    def __init__(self) -> None:
        self.count = 0

    def missed(self) -> None:
        self.count += 1


@pytest.fixture
def backfill() -> BackfillStub:
    return BackfillStub()


def application(settings: ApiSettings, services: object) -> FastAPI:
    app = FastAPI()
    app.state.settings = settings
    app.state.services = services
    problems.install(app)
    limits = Limits(MAX_BODY_BYTES, dict.fromkeys(twilio.PATHS, STRANGERS_BYTES))
    app.add_middleware(BodyLimit, limits=limits)
    app.add_middleware(RequestLog)  # sets the request id that answers carry
    app.include_router(twilio.router)
    return app


@pytest.fixture
async def http(
    settings: ApiSettings, inbound: Stub, status_callbacks: Stub, backfill: BackfillStub
) -> AsyncIterator[httpx.AsyncClient]:
    services = SimpleNamespace(
        inbound=inbound, status_callbacks=status_callbacks, backfill=backfill
    )
    app = application(settings, services)
    # The request comes from a proxy that ended TLS: scheme, host and port differ from the caller's.
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://10.0.0.1:8000",
    ) as client:
        yield client


def sign(target: str, fields: Fields) -> str:
    signed = "https://segue.test" + target + "".join(k + v for k, v in sorted(set(fields)))
    digest = hmac.digest(b"an auth token of tests", signed.encode(), hashlib.sha1)
    return base64.b64encode(digest).decode()


async def post(
    http: httpx.AsyncClient, target: str, fields: Fields, **headers: str
) -> httpx.Response:
    """Post as Twilio does."""
    sent = {"Content-Type": FORM, "X-Twilio-Signature": sign(target, fields), **headers}
    return await http.post(target, content=urlencode(fields), headers=sent)


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == code


class TestInbound:
    async def test_text_is_passed_on_with_an_empty_answer(
        self, http: httpx.AsyncClient, inbound: Stub
    ) -> None:
        response = await post(http, INBOUND, TEXT)

        assert response.status_code == 200
        assert response.headers["content-type"].partition(";")[0] == "text/xml"
        assert response.text == "<Response/>"
        [text] = inbound.texts()
        assert text == InboundText(
            sid="SM1",
            phone="+14155550123",
            to="+12025550100",
            messaging_service_sid="MG" + "1" * 32,
            body="Yes, gladly",
            media_urls=(),
            opt_out_type=None,
            occurred_at=None,
            payload=dict(TEXT),
        )

    @pytest.mark.parametrize(
        "body",
        [
            "",
            " STOP \n",
            "a + b & c = 100 %",
            "\N{GRINNING FACE} \u20ac e\u0301",
            "%2B",
            "first\nsecond\r\nthird",
            "x" * 1600,
            "\N{GRINNING FACE}" * 1600,
        ],
    )
    async def test_body_is_passed_on_unchanged(
        self, http: httpx.AsyncClient, inbound: Stub, body: str
    ) -> None:
        response = await post(http, INBOUND, changed(TEXT, Body=body))

        assert response.status_code == 200
        assert inbound.texts()[0].body == body
        assert inbound.texts()[0].payload["Body"] == body

    async def test_picture_without_text_is_passed_on(
        self, http: httpx.AsyncClient, inbound: Stub
    ) -> None:
        urls = {f"MediaUrl{index}": f"https://example.com/{index}" for index in range(11)}
        kinds = {f"MediaContentType{index}": "image/jpeg" for index in range(11)}

        response = await post(
            http, INBOUND, changed(TEXT, Body="", NumMedia="11", MessageSid="MM1", **urls, **kinds)
        )

        assert response.status_code == 200
        [text] = inbound.texts()
        assert text.body == ""
        assert text.media_urls == tuple(urls.values())

    async def test_opt_out_type_is_passed_on(self, http: httpx.AsyncClient, inbound: Stub) -> None:
        await post(http, INBOUND, changed(TEXT, Body="enough", OptOutType="STOP"))

        assert inbound.texts()[0].opt_out_type == "STOP"

    async def test_missing_service_and_unknown_fields_are_accepted(
        self, http: httpx.AsyncClient, inbound: Stub
    ) -> None:
        fields = changed(TEXT, MessagingServiceSid=None, ChannelMetadata='{"a": 1}', WaId="")

        assert (await post(http, INBOUND, fields)).status_code == 200

        assert inbound.texts()[0].messaging_service_sid is None
        assert inbound.texts()[0].payload == dict(fields)

    async def test_nul_character_is_removed(self, http: httpx.AsyncClient, inbound: Stub) -> None:
        assert (await post(http, INBOUND, changed(TEXT, Body="a\0b"))).status_code == 200

        assert inbound.texts()[0].body == "ab"

    async def test_a_repeated_request_is_passed_on_again(
        self, http: httpx.AsyncClient, inbound: Stub
    ) -> None:
        answers = [await post(http, INBOUND, TEXT) for _ in range(2)]

        assert [response.status_code for response in answers] == [200, 200]
        assert [text.sid for text in inbound.texts()] == ["SM1", "SM1"]

    @pytest.mark.parametrize("missing", ["MessageSid", "From", "To"])
    async def test_text_without_a_sender_is_malformed(
        self, http: httpx.AsyncClient, inbound: Stub, missing: str
    ) -> None:
        for value in (None, ""):
            response = await post(http, INBOUND, changed(TEXT, **{missing: value}))

            assert_problem(response, 400, "malformed_webhook")
        assert not inbound.received


class TestStatus:
    async def test_a_report_is_passed_on(
        self, http: httpx.AsyncClient, status_callbacks: Stub
    ) -> None:
        attempt = uuid4()

        response = await post(http, f"{STATUS}?attempt={attempt.hex}", REPORT)

        assert response.status_code == 204
        assert response.content == b""
        assert status_callbacks.reports() == [
            StatusReport(
                sid="SM2",
                status="undelivered",
                error_code=30003,
                attempt_id=attempt,
                from_phone="+12025550100",
                payload=dict(REPORT),
            )
        ]

    @pytest.mark.parametrize("query", ["", "?attempt=", "?attempt=1", "?attempt=%00", "?other=1"])
    async def test_report_without_a_valid_attempt_id_is_accepted(
        self, http: httpx.AsyncClient, status_callbacks: Stub, query: str
    ) -> None:
        assert (await post(http, STATUS + query, REPORT)).status_code == 204
        assert status_callbacks.reports()[0].attempt_id is None

    @pytest.mark.parametrize(
        ("said", "expected"),
        [
            ("30006", 30006),
            (None, None),
            ("", None),
            ("0", None),
            ("odd", None),
            ("9" * 5000, None),
        ],
    )
    async def test_an_error_code_is_read(
        self,
        http: httpx.AsyncClient,
        status_callbacks: Stub,
        said: str | None,
        expected: int | None,
    ) -> None:
        assert (await post(http, STATUS, changed(REPORT, ErrorCode=said))).status_code == 204
        assert status_callbacks.reports()[0].error_code == expected

    async def test_report_without_a_sender_is_accepted(
        self, http: httpx.AsyncClient, status_callbacks: Stub
    ) -> None:
        assert (await post(http, STATUS, changed(REPORT, From=""))).status_code == 204
        assert status_callbacks.reports()[0].from_phone is None

    @pytest.mark.parametrize("missing", ["MessageSid", "MessageStatus"])
    async def test_report_without_a_message_is_malformed(
        self, http: httpx.AsyncClient, status_callbacks: Stub, missing: str
    ) -> None:
        response = await post(http, STATUS, changed(REPORT, **{missing: None}))

        assert_problem(response, 400, "malformed_webhook")
        assert not status_callbacks.received


@pytest.mark.parametrize(("target", "fields"), [(INBOUND, TEXT), (STATUS, REPORT)])
class TestRefusals:
    async def test_missing_signature_is_refused(
        self,
        http: httpx.AsyncClient,
        inbound: Stub,
        status_callbacks: Stub,
        target: str,
        fields: Fields,
    ) -> None:
        response = await http.post(
            target, content=urlencode(fields), headers={"Content-Type": FORM}
        )

        assert_problem(response, 403, "invalid_signature")
        assert not inbound.received
        assert not status_callbacks.received

    @pytest.mark.parametrize("signature", ["", "AAAA", "\u00e9"])
    async def test_bad_signature_is_refused(
        self, http: httpx.AsyncClient, target: str, fields: Fields, signature: str
    ) -> None:
        response = await http.post(
            target,
            content=urlencode(fields),
            headers={b"Content-Type": FORM.encode(), b"X-Twilio-Signature": signature.encode()},
        )

        assert_problem(response, 403, "invalid_signature")

    async def test_signature_for_other_fields_is_refused(
        self, http: httpx.AsyncClient, target: str, fields: Fields
    ) -> None:
        response = await post(
            http,
            target,
            changed(fields, MessageSid="SM9"),
            **{"X-Twilio-Signature": sign(target, fields)},
        )

        assert_problem(response, 403, "invalid_signature")

    async def test_signature_for_another_address_is_refused(
        self, http: httpx.AsyncClient, target: str, fields: Fields
    ) -> None:
        response = await post(
            http, f"{target}?more=1", fields, **{"X-Twilio-Signature": sign(target, fields)}
        )

        assert_problem(response, 403, "invalid_signature")

    @pytest.mark.parametrize("account", ["AC" + "1" * 32, ""])
    async def test_another_account_is_refused(
        self, http: httpx.AsyncClient, target: str, fields: Fields, account: str
    ) -> None:
        response = await post(http, target, changed(fields, AccountSid=account))

        assert_problem(response, 403, "wrong_account")

    @pytest.mark.parametrize(
        "kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]
    )
    async def test_body_other_than_a_form_is_refused(
        self, http: httpx.AsyncClient, target: str, fields: Fields, kind: str
    ) -> None:
        response = await post(http, target, fields, **{"Content-Type": kind})

        assert_problem(response, 415, "unsupported_media_type")

    @pytest.mark.parametrize("declared", [True, False])
    async def test_too_large_body_is_refused(
        self, http: httpx.AsyncClient, target: str, fields: Fields, *, declared: bool
    ) -> None:
        body = urlencode(changed(fields, Body="x" * STRANGERS_BYTES)).encode()

        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 1000):
                yield body[start : start + 1000]

        response = await http.post(
            target, content=body if declared else chunks(), headers={"Content-Type": FORM}
        )

        assert_problem(response, 413, "body_too_large")

    async def test_get_is_refused(
        self, http: httpx.AsyncClient, target: str, fields: Fields
    ) -> None:
        assert_problem(await http.get(target), 405, "method_not_allowed")


class TestTrouble:
    @pytest.mark.parametrize(
        "error",
        [OperationalError("SELECT", {}, DriverError("gone")), ConnectionRefusedError()],
    )
    async def test_unavailable_database_is_a_503(
        self,
        http: httpx.AsyncClient,
        inbound: Stub,
        status_callbacks: Stub,
        backfill: BackfillStub,
        error: Exception,
    ) -> None:
        assert (await post(http, INBOUND, TEXT)).status_code == 200
        assert backfill.count == 0
        inbound.error = status_callbacks.error = error

        for response in (await post(http, INBOUND, TEXT), await post(http, STATUS, REPORT)):
            assert_problem(response, 503, "database_unavailable")
            assert "+1415" not in response.text
        assert backfill.count == 1, "backfill must fetch the text"

    async def test_slow_database_delays_no_answer_and_loses_no_text(
        self, http: httpx.AsyncClient, inbound: Stub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(twilio, "PATIENCE", timedelta(seconds=0.1))
        inbound.waits_for = asyncio.Event()

        response = await post(http, INBOUND, TEXT)

        assert_problem(response, 503, "database_unavailable")
        assert not inbound.received
        inbound.waits_for.set()
        await wait_until(lambda: not twilio._under_way)
        assert [text.sid for text in inbound.texts()] == ["SM1"]

    async def test_failure_after_the_answer_is_logged_without_the_text(
        self,
        http: httpx.AsyncClient,
        inbound: Stub,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(twilio, "PATIENCE", timedelta(seconds=0.05))
        inbound.waits_for = asyncio.Event()
        inbound.error = ConnectionResetError("while storing 'Yes, gladly'")

        await post(http, INBOUND, TEXT)
        inbound.waits_for.set()
        await wait_until(lambda: not twilio._under_way)

        assert "a webhook was not stored" in caplog.text
        assert "gladly" not in caplog.text


class TestStored:
    """Webhooks with the real use cases and a real database."""

    @pytest.fixture
    async def real(
        self, settings: ApiSettings, services: Services
    ) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(application(settings, services))
        async with httpx.AsyncClient(transport=transport, base_url="http://10.0.0.1") as client:
            yield client

    @staticmethod
    async def bodies(services: Services) -> list[str]:
        async with services.database.transaction() as tx:
            rows = await tx.execute(statement("SELECT body FROM messages ORDER BY created_at"))
            return [row.body for row in rows]

    async def test_repeated_text_is_stored_once(
        self, real: httpx.AsyncClient, services: Services
    ) -> None:
        for _ in range(3):
            assert (await post(real, INBOUND, TEXT)).status_code == 200

        assert await self.bodies(services) == ["Yes, gladly"]

    @pytest.mark.parametrize("body", ["", "a\0b", "\N{GRINNING FACE}", "x" * 1600])
    async def test_any_text_can_be_stored(
        self, real: httpx.AsyncClient, services: Services, body: str
    ) -> None:
        assert (await post(real, INBOUND, changed(TEXT, Body=body))).status_code == 200

        assert await self.bodies(services) == [body.replace("\0", "")]

    async def test_fallback_address_handles_texts_too(
        self, real: httpx.AsyncClient, services: Services
    ) -> None:
        """Twilio calls a number's fallback address when the first one failed, and says why."""
        failed = changed(TEXT, ErrorCode="11200", ErrorUrl="https://segue.example.com/x?a=b#rc=5")

        assert (await post(real, f"{INBOUND}?fallback=1", failed)).status_code == 200
        assert (await post(real, INBOUND, TEXT)).status_code == 200

        assert await self.bodies(services) == ["Yes, gladly"]

    async def test_a_stop_suppresses_the_number(
        self, real: httpx.AsyncClient, services: Services
    ) -> None:
        await post(real, INBOUND, changed(TEXT, Body="Stop"))

        async with services.database.transaction() as tx:
            rows = await tx.execute(statement("SELECT phone FROM suppressions"))
            assert [row.phone for row in rows] == ["+14155550123"]

    async def test_report_on_an_unknown_message_is_accepted(self, real: httpx.AsyncClient) -> None:
        for _ in range(2):
            response = await post(real, f"{STATUS}?attempt={uuid4().hex}", REPORT)

            assert response.status_code == 204


async def wait_until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.005)
