"""Take pictures of every page: `make screenshots`, or `python -m tests.browser.screenshots`.

It starts a stack of its own with the demo's data, brings people to life in it (life.py), and stops
it again.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from playwright.async_api import Browser, Page, ViewportSize, expect

from settings import StandaloneSettings
from standalone.credentials import Secrets
from standalone.ports import LOOPBACK, free_port
from standalone.stack import Stack
from tests.browser.chromium import DESKTOP, PHONE, chromium
from tests.browser.life import Life, bring_to_life

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "screenshots"

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        name: The file's, before the theme and the width.
        path: Where the page is; ``{sequence_id}`` and the like stand for those of a `Life`.
        then: What is done there first: open a dialog, tick somebody.
        signed_in: Whether somebody is.
    """

    name: str
    path: str
    then: Callable[[Page], Awaitable[object]] | None = None
    signed_in: bool = True

    def address(self, life: Life) -> str:
        """Return the address of the page."""
        return self.path.format(**asdict(life))


async def open_user_menu(page: Page) -> None:
    """Open the menu at the foot of the sidebar."""
    menu = page.get_by_role("button", name="Menu", exact=True)
    if await menu.is_visible():
        await menu.click()
    await page.locator(".user-button").click()


def press(name: str) -> Callable[[Page], Awaitable[object]]:
    """Press a button that opens a dialog or a panel."""

    async def then(page: Page) -> None:
        await page.get_by_role("button", name=name).first.click()
        await expect(page.get_by_role("dialog")).to_be_visible()

    return then


def act(name: str, *, people: int = 4) -> Callable[[Page], Awaitable[object]]:
    """Tick some contacts of a list and open an action's dialog."""

    async def then(page: Page) -> None:
        boxes = page.locator("#selection tbody").get_by_role("checkbox")
        for index in range(people):
            await boxes.nth(index).check()
        if name:
            await press(name)(page)

    return then


async def open_panel(page: Page) -> None:
    """Open an enrollment in the panel."""
    await page.get_by_role("link", name="Keiko Ishikawa").click()
    await expect(page.get_by_role("heading", name="Activity")).to_be_visible()


async def open_first_row(page: Page) -> None:
    """Follow the first name of a list of the settings."""
    await page.locator(".rows-name").first.click()


async def open_first_talk(page: Page) -> None:
    """Open the first line of the conversations."""
    await page.locator(".talks-row").first.click()
    await expect(page.locator("#thread-heading")).to_be_visible()


async def write_note(page: Page) -> None:
    """Open the dialog of a note; on a phone, it is behind a button."""
    more = page.get_by_role("button", name="More about this conversation")
    if await more.is_visible():
        await more.click()
    await press("Add note")(page)


async def offer_saved_replies(page: Page) -> None:
    """Ask for the saved replies in the box of a conversation."""
    box = page.locator("#thread").get_by_label("Reply")
    await box.fill("/")
    await expect(page.get_by_role("listbox", name="Saved replies")).to_be_visible()


async def narrow_groups(page: Page) -> None:
    """Search for groups by name."""
    sheet = page.get_by_role("button", name="Filters")
    if await sheet.is_visible():
        await sheet.click()
    await page.get_by_role("button", name="Group", exact=True).click()
    await page.get_by_role("group", name="Group").get_by_role("searchbox").fill("shift")


async def see_figures(page: Page) -> None:
    """Wait for the counts that load after the page."""
    await expect(page.locator(".funnel")).to_be_visible()


async def upload(page: Page) -> None:
    """Choose a file of contacts and preview enrolling them."""
    lines = (
        "Mobile,First name,Last name",
        "+13125550150,Wanda,Ortiz",
        "+13125550151,Yusuf,Demir",
        "+13125550151,Yusuf,Demir",
        "+16465550112,Grace,Grant",
        "12,Too,Short",
    )
    await page.get_by_label("CSV file").set_input_files(
        {"name": "applicants.csv", "mimeType": "text/csv", "buffer": "\n".join(lines).encode()}
    )
    await page.get_by_label("Import “Mobile” as").select_option("Phone")
    await expect(page.get_by_role("button", name="Enroll 2 people")).to_be_visible()


async def match_columns(page: Page) -> None:
    """Upload a file with a bad row, and wait for what the check finds."""
    content = "Name;Cell;Team\nWanda Ortiz;+13125550150;Nurses\nToo Short;12;\n"
    await page.get_by_label("CSV file").set_input_files(
        {"name": "people.csv", "mimeType": "text/csv", "buffer": content.encode()}
    )
    await page.get_by_role("button", name="Continue").click()
    await expect(page.get_by_text("Row 3")).to_be_visible()


async def find_keiko(page: Page) -> None:
    """Search in the command palette."""
    await page.keyboard.press("Control+k")
    await page.get_by_role("combobox").fill("ke")
    await expect(page.get_by_role("option", name="Keiko").first).to_be_visible()


async def open_keys(page: Page) -> None:
    """Open the sheet of keys."""
    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


_SEQUENCE = "/sequences/{sequence_id}"

SHOTS = [
    Shot("sign-in", "/sign-in", signed_in=False),
    Shot("set-up-gone", "/set-up", signed_in=False),
    Shot("not-found", "/nothing-here"),
    Shot("sequences", "/sequences"),
    Shot("sequences-new", "/sequences", press("New sequence")),
    Shot("sequence-overview", _SEQUENCE, see_figures),
    Shot("sequence-contacts", f"{_SEQUENCE}/contacts"),
    Shot("sequence-contacts-ticked", f"{_SEQUENCE}/contacts?status=active", act("")),
    Shot("sequence-group", f"{_SEQUENCE}/contacts?status=active", act("Add to group")),
    Shot("sequence-message", f"{_SEQUENCE}/contacts?status=active", act("Send message")),
    Shot("sequence-finish", f"{_SEQUENCE}/contacts?status=active", act("Mark finished")),
    Shot("sequence-nobody", f"{_SEQUENCE}/contacts?search=nobody+at+all"),
    Shot("enrollment-panel", f"{_SEQUENCE}/contacts?sort=name", open_panel),
    Shot("enrollment", "/enrollments/{enrollment_id}"),
    Shot("sequence-steps", f"{_SEQUENCE}/steps"),
    Shot("sequence-field", f"{_SEQUENCE}/steps", press("Insert field")),
    Shot("sequence-test", f"{_SEQUENCE}/steps", press("Send a test to me")),
    Shot("sequence-template", f"{_SEQUENCE}/steps", press("Save as template")),
    Shot("sequence-settings", f"{_SEQUENCE}/settings"),
    Shot("enroll", f"{_SEQUENCE}/enrol"),
    Shot("enroll-group", f"{_SEQUENCE}/enrol?way=group"),
    Shot("enroll-list", f"{_SEQUENCE}/enrol?way=list&matching=search%3Da"),
    Shot("enroll-numbers", f"{_SEQUENCE}/enrol?way=numbers"),
    Shot("enroll-file", f"{_SEQUENCE}/enrol?way=file", upload),
    Shot("job", "/jobs/{job_id}"),
    Shot("contacts", "/contacts"),
    Shot("contacts-selected", "/contacts", act("")),
    Shot("contacts-assign", "/contacts", act("Assign")),
    Shot("contacts-enroll", "/contacts", act("Enroll")),
    Shot("contacts-new", "/contacts/new"),
    Shot("contacts-import", "/contacts/import"),
    Shot("contacts-import-file", "/contacts/import", match_columns),
    Shot("palette", "/groups", find_keiko),
    Shot("keys", "/groups", open_keys),
    Shot("contact", "/contacts/{contact_id}"),
    Shot("contact-consent", "/contacts/{contact_id}", press("Record a consent")),
    Shot("contacts-groups", "/contacts", narrow_groups),
    Shot("groups", "/groups"),
    Shot("group", "/groups/{group_id}"),
    Shot("group-remove", "/groups/{group_id}", act("Remove from group", people=2)),
    Shot("group-opt-in-page", "/groups/{group_id}/opt-in-page"),
    Shot("join", "/join/night-shift", signed_in=False),
    Shot("joined", "/join/night-shift/joined", signed_in=False),
    Shot("group-delete", "/groups/{group_id}", press("Delete")),
    Shot("conversations", "/conversations"),
    Shot("conversations-all", "/conversations?only=all&owner=all"),
    Shot("conversation", "/conversations/{contact_id}"),
    Shot("conversation-saved-replies", "/conversations/{contact_id}", offer_saved_replies),
    Shot("conversation-note", "/conversations/{contact_id}", write_note),
    Shot("conversations-unknown", "/conversations?only=unknown"),
    Shot("conversations-unknown-open", "/conversations?only=unknown", open_first_talk),
    Shot("proof", "/messages/{message_id}/proof"),
    Shot("reports", "/reports", see_figures),
    Shot("reviews", "/reviews"),
    Shot("settings-workspace", "/settings/workspace"),
    Shot("settings-opt-outs", "/settings/opt-outs"),
    Shot("settings-opt-outs-import", "/settings/opt-outs/import"),
    Shot("settings-senders", "/settings/senders"),
    Shot("settings-saved-replies", "/settings/saved-replies"),
    Shot("settings-saved-replies-new", "/settings/saved-replies", press("Add saved reply")),
    Shot("settings-users", "/settings/users"),
    Shot("settings-user", "/settings/users", open_first_row),
    Shot("settings-webhooks", "/settings/webhooks"),
    Shot("settings-webhooks-new", "/settings/webhooks/new"),
    Shot("settings-audit", "/settings/audit"),
    Shot("settings-activity", "/settings/activity"),
    Shot("settings-account", "/settings/account"),
    Shot("user-menu", "/settings/workspace", open_user_menu),
]
"""All pages; the browser tests check the accessibility of the same ones."""


def main() -> None:
    """Take the pictures and print where they are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--only", default="", help="only pictures whose name begins so")
    given = parser.parse_args()
    shots = [shot for shot in SHOTS if shot.name.startswith(given.only)]
    with demo_stack() as stack:
        life = bring_to_life(stack.url, stack.simulator_url, stack.secrets.token)
        asyncio.run(take(shots, life, stack))
    print(f"{len(shots) * 4} pictures in {FOLDER}")


@dataclass(frozen=True)
class DemoStack:
    """A running stack, and how to sign in to it."""

    url: str
    simulator_url: str
    secrets: Secrets


@contextmanager
def demo_stack() -> Iterator[DemoStack]:
    """Run the stack of `make up` in a folder and on ports of its own."""
    with tempfile.TemporaryDirectory(prefix="segue-screenshots-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for root, PostgreSQL runs as another user
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
            yield DemoStack(
                f"http://{LOOPBACK}:{settings.segue_api_port}",
                f"http://{LOOPBACK}:{settings.segue_simulator_port}",
                Secrets.load(folder / "secrets.json"),
            )
        finally:
            stack.down()


async def take(shots: list[Shot], life: Life, stack: DemoStack) -> None:
    """Take each picture in both themes and both widths."""
    FOLDER.mkdir(exist_ok=True)
    async with chromium() as browser:
        for width, viewport in (("desktop", DESKTOP), ("phone", PHONE)):
            for theme in THEMES:
                nobody = await _open(browser, stack.url, viewport, theme)
                somebody = await _open(browser, stack.url, viewport, theme)
                await _sign_in(somebody, stack.secrets.email, stack.secrets.password)
                for shot in shots:
                    page = somebody if shot.signed_in else nobody
                    await page.goto(shot.address(life), wait_until="networkidle")
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
    await page.get_by_label("Email").fill(email)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
    await page.wait_for_url(lambda address: "/sign-in" not in address)


if __name__ == "__main__":
    main()
