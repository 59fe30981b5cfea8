"""Accessibility checks with axe."""

from functools import cache
from pathlib import Path
from typing import Literal

from playwright.async_api import Page, expect

_AXE = Path(__file__).resolve().parents[2] / "api/assets/node_modules/axe-core/axe.min.js"
_RUN = """
async ([runOnly, exclude]) => {
  await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
  // Without resultTypes axe would also describe every element that passed.
  const what = { include: document.querySelector("dialog[open]") ?? document, exclude };
  const { violations } = await axe.run(what, { runOnly, resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) =>
    [id, ...nodes.map((node) => `${node.target} ${node.failureSummary}`)].join(": "));
}
"""
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_ALL = {"type": "tag", "values": _TAGS}
# Only colors differ between the themes; all other rules run once.
_COLORS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}


async def accessible(page: Page, *, with_sidebar: bool = False) -> None:
    """Assert that axe finds no violation of WCAG 2.2 A and AA, in both themes.

    The sidebar is the same on all pages, and as costly to check as the rest of most: the tests of
    the frame do. Of an open dialog only itself is checked: the page behind it is inert, and checked
    while none is open.
    """
    exclude = [] if with_sidebar else [["#sidebar"]]
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_source())
    is_dark = await page.locator("html").get_attribute("data-bs-theme") == "dark"
    themes: list[Literal["light", "dark"]] = ["dark", "light"] if is_dark else ["light", "dark"]
    for theme, rules in zip(themes, (_ALL, _COLORS), strict=True):
        await page.emulate_media(color_scheme=theme)
        await expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
        found = await page.evaluate(_RUN, [rules, exclude])
        assert found == [], f"{page.url}, {theme}: {found}"


@cache
def _source() -> str:
    return _AXE.read_text()
