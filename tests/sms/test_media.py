# mypy: disable-error-code="import-untyped"
"""Files of inbound texts: whom the gateway asks for them, and what it tells whom."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from requests import Session

from domain.messaging.ports import Attachment, ProviderUnavailableError
from sms import media
from sms.media import MediaSource

BASE = "https://api.twilio.com"
SOURCE = MediaSource(BASE, "AC" + "0" * 32, "secret", most_seconds=5)
URL = f"{BASE}/2010-04-01/Accounts/{SOURCE.account_sid}/Messages/MM1/Media/ME1"
STORED = "https://mms.twiliocdn.com/AC0/file?Expires=1"


@dataclass
class Scripted:
    status_code: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def is_redirect(self) -> bool:
        return "location" in self.headers

    def iter_content(self, size: int) -> Iterator[bytes]:
        for start in range(0, len(self.body), size):
            yield self.body[start : start + size]


@dataclass
class Line:
    """A session that answers from a script and records who was asked, and with what password."""

    answers: Mapping[str, Scripted]
    asked: list[tuple[str, Any]] = field(default_factory=list)

    def get(
        self, url: str, *, auth: object = None, allow_redirects: bool, stream: bool
    ) -> AbstractContextManager[Scripted]:
        assert (allow_redirects, stream) == (False, True)
        self.asked.append((url, auth))
        return nullcontext(self.answers[url])


def fetch(answers: Mapping[str, Scripted], url: str = URL) -> tuple[Attachment | None, list[Any]]:
    line = Line(answers)
    return SOURCE.fetch(cast("Session", line), url), line.asked


def to(location: str) -> Scripted:
    return Scripted(307, {"location": location})


def test_storage_of_the_provider_is_asked_without_the_password() -> None:
    found, asked = fetch({URL: to(STORED), STORED: Scripted(200, {"content-type": "x/y"}, b"abc")})

    assert found == Attachment(b"abc", "x/y")
    assert asked == [(URL, (SOURCE.account_sid, "secret")), (STORED, None)]


@pytest.mark.parametrize(
    "location",
    [
        "https://example.com/a",
        "http://mms.twiliocdn.com/a",
        "https://mms.twiliocdn.com.example.com/a",
        "https://mms.twiliocdn.com:8443/a",
        "https://x@mms.twiliocdn.com/a",
        "https://s3-external-1.amazonaws.com/others/a",
        "https://s3-external-1.amazonaws.com/media.twiliocdn.com/../others/a",
        "http://127.0.0.1:9/a",
        "http://169.254.169.254/latest/meta-data",
        "//example.com/a",
        "file:///etc/passwd",
        "https://[",
    ],
)
def test_other_redirects_are_not_followed(location: str) -> None:
    found, asked = fetch({URL: to(location)})
    assert (found, len(asked)) == (None, 1)


def test_second_redirect_is_not_followed() -> None:
    with pytest.raises(ProviderUnavailableError):
        fetch({URL: to(STORED), STORED: to("https://example.com/a")})


@pytest.mark.parametrize(
    "url",
    [
        URL.replace(BASE, "https://example.com"),
        URL.replace(BASE, "http://api.twilio.com"),
        URL.replace(BASE, f"{BASE}.example.com"),
        URL.replace(BASE, f"{BASE}@example.com"),
        URL.replace("AC0", "AC1"),
        URL.replace("/Media/", "/Media/../"),
        f"{URL}?x=1",
        f"{URL}\n",
        f"{BASE}/2010-04-01/Accounts.json",
        "",
    ],
)
def test_only_the_accounts_files_are_asked_for(url: str) -> None:
    assert fetch({}, url) == (None, [])


def test_file_that_is_gone_or_too_large_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "MAX_ATTACHMENT_BYTES", 10)
    assert fetch({URL: Scripted(404)})[0] is None
    assert fetch({URL: Scripted(200, body=b"x" * 11)})[0] is None
    assert fetch({URL: Scripted(200, body=b"x" * 10)})[0] is not None
    for status in (401, 429, 500):
        with pytest.raises(ProviderUnavailableError):
            fetch({URL: Scripted(status)})
