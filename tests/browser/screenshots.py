"""Takes pictures of every page: `make screenshots`, or `python -m tests.browser.screenshots`.

Without arguments it starts a stack of its own with the demo's data and stops it again; with
`--url`, `--email` and `--password` it looks at one that runs.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page, ViewportSize

from settings import StandaloneSettings
from standalone.credentials import Secrets
from standalone.ports import LOOPBACK, free_port
from standalone.stack import Stack
from tests.browser.chromium import DESKTOP, PHONE, chromium

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "screenshots"

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        name: The file's, before the theme and the width.
        path: Where the page is.
        then: What is done there first: follow a link, open a dialog.
        signed_in: Whether somebody is.
    """

    name: str
    path: str
    then: Callable[[Page], Awaitable[object]] | None = None
    signed_in: bool = True


async def open_user_menu(page: Page) -> None:
    """Open the menu at the foot of the sidebar."""
    menu = page.get_by_role("button", name="Menu", exact=True)
    if await menu.is_visible():
        await menu.click()
    await page.locator(".user-button").click()


async def open_first_row(page: Page) -> None:
    """Follow the first link of a settings' list."""
    await page.locator(".rows-name").first.click()


async def open_first_name(page: Page) -> None:
    """Follow the first name of a list of contacts or groups, if the data holds one."""
    rows = page.locator(".stacked-head a")
    if await rows.count():
        await rows.first.click()


async def open_first_talk(page: Page) -> None:
    """Open the latest conversation, if the data holds one."""
    rows = page.locator(".talks-row")
    if await rows.count():
        await rows.first.click()


def open_of_sequence(name: str) -> Callable[[Page], Awaitable[None]]:
    """Open the demo's sequence, and then something of it."""

    async def open_it(page: Page) -> None:
        await page.get_by_role("link", name="Warehouse role: first contact").click()
        await page.get_by_role("link", name=name, exact=True).click()

    return open_it


SHOTS = [
    Shot("sign-in", "/sign-in", signed_in=False),
    Shot("not-found", "/nothing-here"),
    Shot("sequence-steps", "/sequences", open_of_sequence("Steps")),
    Shot("sequence-enrol", "/sequences", open_of_sequence("Enrol")),
    Shot("settings-workspace", "/settings/workspace"),
    Shot("settings-account", "/settings/account"),
    Shot("settings-senders", "/settings/senders"),
    Shot("settings-users", "/settings/users"),
    Shot("settings-user", "/settings/users", open_first_row),
    Shot("settings-webhooks", "/settings/webhooks"),
    Shot("settings-webhook-new", "/settings/webhooks/new"),
    Shot("settings-activity", "/settings/activity"),
    Shot("settings-audit", "/settings/audit"),
    Shot("conversations", "/conversations"),
    Shot("conversation", "/conversations", open_first_talk),
    Shot("contacts", "/contacts"),
    Shot("contacts-one", "/contacts", open_first_name),
    Shot("contacts-new", "/contacts/new"),
    Shot("contacts-import", "/contacts/import"),
    Shot("groups", "/groups"),
    Shot("groups-one", "/groups", open_first_name),
    Shot("reviews", "/reviews"),
    Shot("settings-opt-outs", "/settings/opt-outs"),
    Shot("settings-opt-outs-import", "/settings/opt-outs/import"),
    Shot("user-menu", "/settings/workspace", open_user_menu),
]
"""One line a page; what needs a thing's id gets there by clicking."""


def main() -> None:
    """Read the command line, take the pictures, say where they are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--url", help="a stack that runs")
    parser.add_argument("--email", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--only", default="", help="only pictures whose name begins so")
    given = parser.parse_args()
    shots = [shot for shot in SHOTS if shot.name.startswith(given.only)]
    if given.url:
        asyncio.run(take(shots, given.url, given.email, given.password))
    else:
        with demo_stack() as (url, secrets):
            asyncio.run(take(shots, url, secrets.email, secrets.password))
    print(f"{len(shots) * 4} pictures in {FOLDER}")


@contextmanager
def demo_stack() -> Iterator[tuple[str, Secrets]]:
    """Run the stack of `make up` in a folder and on ports of its own."""
    with tempfile.TemporaryDirectory(prefix="segue-screenshots-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as somebody else if we are root
        settings = StandaloneSettings(
            segue_api_port=free_port(),
            segue_simulator_port=free_port(),
            segue_temporal_port=free_port(),
            segue_temporal_ui_port=free_port(),
            segue_postgres_port=free_port(),
            segue_data_dir=folder,
        )
        stack = Stack(settings)
        try:
            stack.up()
            url = f"http://{LOOPBACK}:{settings.segue_api_port}"
            yield url, Secrets.load(folder / "secrets.json")
        finally:
            stack.down()


async def take(shots: list[Shot], url: str, email: str, password: str) -> None:
    """Take each picture in both themes and both widths."""
    FOLDER.mkdir(exist_ok=True)
    async with chromium() as browser:
        for width, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            for theme in THEMES:
                nobody = await _open(browser, url, viewport, theme)
                somebody = await _open(browser, url, viewport, theme)
                await _sign_in(somebody, email, password)
                for shot in shots:
                    page = somebody if shot.signed_in else nobody
                    await page.goto(shot.path, wait_until="networkidle")
                    if shot.then is not None:
                        await shot.then(page)
                        await page.wait_for_load_state("networkidle")
                    await page.screenshot(path=FOLDER / f"{shot.name}-{theme}-{width}.png")


async def _open(browser: Browser, url: str, viewport: ViewportSize, theme: Theme) -> Page:
    context = await browser.new_context(
        base_url=url,
        viewport=viewport,
        color_scheme=theme,
        device_scale_factor=2 if viewport is PHONE else 1,
        reduced_motion="reduce",
    )
    return await context.new_page()


async def _sign_in(page: Page, email: str, password: str) -> None:
    await page.goto("/sign-in")
    await page.get_by_label("E-mail address").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(lambda address: "/sign-in" not in address)


if __name__ == "__main__":
    main()
