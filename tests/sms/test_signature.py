"""Genuine webhooks are accepted, false ones refused, in every case known to fail elsewhere."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import quote_plus

import pytest
from starlette.datastructures import FormData

from sms.signature import SignatureValidator

TOKEN = "a-token"
BASE = "https://segue.example.com"
PATH = b"/webhooks/twilio/inbound"

Fields = Sequence[tuple[str, str]]


def sign(url: str, fields: Fields, token: str = TOKEN) -> str:
    """Sign as Twilio documents it: address, then sorted keys with their sorted distinct values."""
    pairs = sorted(set(fields))
    signed = url + "".join(key + value for key, value in pairs)
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1)).decode()


def check(
    fields: Fields,
    signature: str | None,
    *,
    base: str = BASE,
    path: bytes = PATH,
    query: bytes = b"",
) -> bool:
    return SignatureValidator(TOKEN, base).valid(
        raw_path=path,
        raw_query=query,
        form=FormData([(key, value) for key, value in fields]),
        signature=signature,
    )


URL = BASE + PATH.decode()
TEXT: Fields = [("From", "+14155550123"), ("Body", "Hello"), ("AccountSid", "AC1")]


def test_signed_form_is_valid() -> None:
    assert check(TEXT, sign(URL, TEXT))


def test_repeated_request_is_valid() -> None:
    signature = sign(URL, TEXT)

    assert [check(TEXT, signature) for _ in range(3)] == [True] * 3


@pytest.mark.parametrize("signature", [None, "", " ", "AAAA", "\u00e9" * 28])
def test_missing_or_wrong_signature_is_invalid(signature: str | None) -> None:
    assert not check(TEXT, signature)


def test_other_token_is_invalid() -> None:
    assert not check(TEXT, sign(URL, TEXT, token="another"))


@pytest.mark.parametrize(
    "changed",
    [
        [*TEXT, ("New", "")],
        TEXT[:-1],
        [("From", "+14155550199"), *TEXT[1:]],
        [(key, value + " ") for key, value in TEXT],
        [*TEXT, ("Body", "Another")],
    ],
    ids=["added", "removed", "changed", "blank added", "repeated with another value"],
)
def test_changed_form_is_invalid(changed: Fields) -> None:
    assert not check(changed, sign(URL, TEXT))


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "trailing blank ",
        "line\nbreak\r\n",
        "a + b & c = 100 %",
        "%2B+%26",
        "\N{GRINNING FACE} \u20ac \u00e9 e\u0301",
        "'\"<>\\",
        "x" * 1600,
    ],
)
def test_any_signed_text_is_valid(value: str) -> None:
    fields = [*TEXT, ("FromCity", value), ("Note", value)]

    assert check(fields, sign(URL, fields))


def test_many_blank_fields_count() -> None:
    fields = [(name, "") for name in ("ToState", "ToCity", "FromZip", "Body")]

    assert check(fields, sign(URL, fields))
    assert not check(fields[:-1], sign(URL, [*fields[:-1], ("Body", "x")]))


def test_repeated_keys_count_once_per_value() -> None:
    fields = [("MediaUrl", "b"), ("MediaUrl", "a"), ("MediaUrl", "b")]

    assert check(fields, sign(URL, fields))


def test_empty_form_is_valid() -> None:
    assert check([], sign(URL, []))


def test_path_is_checked_as_received() -> None:
    raw = "/a%2Fb%20c/webhooks"

    assert check(TEXT, sign(BASE + raw, TEXT), path=raw.encode())
    assert not check(TEXT, sign(BASE + raw, TEXT), path=b"/a/b c/webhooks")


@pytest.mark.parametrize(
    "query",
    ["attempt=0123abcd", "b=2&a=1", "a=%20+%2B", "a=1&a=2", f"text={quote_plus('é & ü')}"],
)
def test_query_is_checked_as_received(query: str) -> None:
    signature = sign(f"{URL}?{query}", TEXT)

    assert check(TEXT, signature, query=query.encode())
    assert not check(TEXT, signature)
    assert not check(TEXT, signature, query=query.encode() + b"&more=1")


@pytest.mark.parametrize(
    ("configured", "called"),
    [
        ("https://segue.example.com", "https://segue.example.com:443"),
        ("https://segue.example.com:443", "https://segue.example.com"),
        ("https://segue.example.com:8443", "https://segue.example.com:8443"),
        ("https://segue.example.com:8443", "https://segue.example.com"),
        ("http://segue.example.com", "http://segue.example.com:80"),
        ("https://segue.example.com/", "https://segue.example.com"),
        ("https://segue.example.com/under", "https://segue.example.com/under"),
        ("https://segue.example.com#rc=3&rp=all", "https://segue.example.com"),
    ],
)
def test_the_configured_address_counts_with_or_without_its_port(
    configured: str, called: str
) -> None:
    assert check(TEXT, sign(called + PATH.decode(), TEXT), base=configured)


def test_internal_scheme_and_host_are_ignored() -> None:
    assert not check(TEXT, sign("http://10.0.0.1:8000" + PATH.decode(), TEXT))
