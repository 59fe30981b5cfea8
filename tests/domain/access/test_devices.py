"""User agents, and what a list of sessions calls them."""

import pytest

from domain.access.devices import USER_AGENT_LENGTH, device_name, kept_user_agent

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_WINDOWS = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/131.0.0.0 Safari/537.36"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.1"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15"
_ANDROID = f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/131.0.0.0"


@pytest.mark.parametrize(
    ("user_agent", "device"),
    [
        (_WINDOWS, "Chrome on Windows"),
        (f"{_WINDOWS} Edg/131.0.0.0", "Edge on Windows"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Firefox/133.0", "Firefox on Linux"),
        (f"{_MAC} Safari/605.1.15", "Safari on Mac"),
        (f"{_IPHONE} CriOS/131.0.6778.73 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        (f"{_ANDROID} Mobile Safari/537.36", "Chrome on Android"),
        ("curl/8.9.1", "Unknown device"),
        ("", "Unknown device"),
        (None, "Unknown device"),
    ],
)
def test_a_device_is_named_by_browser_and_system(user_agent: str | None, device: str) -> None:
    assert device_name(user_agent) == device


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        (None, None),
        ("", None),
        ("\x00\x07", None),
        ("curl\x00/8", "curl/8"),
        ("x" * 9_000, "x" * USER_AGENT_LENGTH),
    ],
)
def test_only_printable_characters_are_kept(header: str | None, kept: str | None) -> None:
    assert kept_user_agent(header) == kept
