"""Which addresses events may go to: the public internet, never our own network."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver

from services.event_webhooks.http_client import (
    EndpointAnswer,
    PostFailedError,
    connections,
    is_public,
    read_retry_after,
)
from standalone.ports import free_port
from tests.kits.event_endpoints import receiver


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.1.1",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fc00::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_address_off_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700:4700::1111"])
def test_address_on_the_public_internet_is_accepted(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("9" * 5000, 100_000_000),
        ("Mon, 30 Nov 2026 20:00:30 GMT", 30),
        ("Mon, 30 Nov 2026 19:00:00 GMT", 0),
        ("-1", None),
        ("1.5", None),
        ("\N{SUPERSCRIPT TWO}", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(words: str | None, seconds: int | None) -> None:
    found = read_retry_after(words, datetime(2026, 11, 30, 20, tzinfo=UTC))
    assert found == (None if seconds is None else timedelta(seconds=seconds))


async def post(url: str, *, allow_local: bool = False) -> EndpointAnswer:
    async with connections(allow_local=allow_local) as send:
        return await send(url, {"webhook-id": "1"}, b"{}")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "localhost", "127.1", "0x7f000001", "2130706433", "0.0.0.0"]
)
async def test_this_machine_is_not_called_in_any_spelling(host: str) -> None:
    async with receiver() as there:
        with pytest.raises(PostFailedError) as failed:
            await post(f"http://{host}:{there.port}/events")
    assert failed.value.code in {"address_refused", "invalid_url", "name_not_found"}
    assert there.seen == []


async def test_host_name_that_resolves_to_this_machine_is_not_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the address that was checked is the one connected to."""
    asked = []

    async def resolve(
        _: ThreadedResolver, host: str, port: int, family: int
    ) -> list[ResolveResult]:
        asked.append(host)
        here = ResolveResult(
            hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=6, flags=0
        )
        return [here]

    async with receiver() as there:
        monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
        with pytest.raises(PostFailedError, match="address_refused"):
            await post(f"http://crm.example.com:{there.port}/events")
        assert asked == ["crm.example.com"]
        assert there.seen == []
        assert await post(
            f"http://crm.example.com:{there.port}/events", allow_local=True
        ) == EndpointAnswer(204)


async def test_refused_connection_is_reported() -> None:
    with pytest.raises(PostFailedError, match="connection_failed"):
        await post(f"http://127.0.0.1:{free_port()}/events", allow_local=True)


async def test_silent_server_times_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    limit = aiohttp.ClientTimeout(total=0.2)
    monkeypatch.setattr("services.event_webhooks.http_client._TIMEOUT", limit)

    async def silent(_: Any) -> int:
        await asyncio.sleep(1)
        return 200

    async with receiver(silent) as there:
        with pytest.raises(PostFailedError, match="timeout"):
            await post(there.url, allow_local=True)


async def test_missing_tls_is_a_failure_of_its_own() -> None:
    async with receiver() as there:
        with pytest.raises(PostFailedError) as failed:
            await post(f"https://127.0.0.1:{there.port}/events", allow_local=True)
    assert failed.value.code == "tls_failed"
