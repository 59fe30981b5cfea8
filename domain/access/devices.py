"""Naming the device that somebody signed in on, for them to recognize it."""

_BROWSERS = (
    # The first that is found: most browsers also name the ones they want to be taken for.
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "Mac"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)

USER_AGENT_LENGTH = 500
"""Most characters of a user agent that are kept."""


def kept_user_agent(header: str | None) -> str | None:
    """Give the part of a ``User-Agent`` that is kept; None if nothing readable was sent."""
    if not header:
        return None
    return "".join(filter(str.isprintable, header))[:USER_AGENT_LENGTH] or None


def device_name(user_agent: str | None) -> str:
    """Name a device by its browser and system, such as ``Firefox on Windows``."""
    text = user_agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in text), None)
    system = next((name for mark, name in _SYSTEMS if mark in text), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown device"
