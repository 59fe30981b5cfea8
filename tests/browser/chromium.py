"""The browser of the tests: Debian's Chromium, driven by Playwright."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, ViewportSize, async_playwright

DESKTOP: ViewportSize = {"width": 1280, "height": 800}
PHONE: ViewportSize = {"width": 390, "height": 844}

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""Names of the program, in order of preference; the first is headless only and twice as fast."""
_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Run a browser without a window, with an empty profile."""
    paths = [found for found in map(shutil.which, _NAMES) if found]
    assert paths, "there is no Chromium; `make chromium` installs it"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=paths[0], args=_ARGUMENTS)
        yield browser
        await browser.close()
