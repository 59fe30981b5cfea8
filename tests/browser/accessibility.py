"""Accessibility checks with axe."""

from functools import cache
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Page, expect

_AXE = Path(__file__).resolve().parents[2] / "api/assets/node_modules/axe-core/axe.min.js"
_LOOKS = Path(__file__).with_name("looks.js")
_RUN = """
async ([options, exclude]) => {
  await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
  // Without resultTypes axe would also describe every element that passed.
  const what = { include: document.querySelector("dialog[open]") ?? document, exclude };
  const { violations } = await axe.run(what, { ...options, resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) =>
    [id, ...nodes.map((node) => `${node.target} ${node.failureSummary}`)].join(": "));
}
"""
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_COLORS = ("color-contrast", "link-in-text-block")
_ALL_BUT_COLORS = {
    "runOnly": {"type": "tag", "values": _TAGS},
    "rules": {rule: {"enabled": False} for rule in _COLORS},
}

_proven: set[str] = set()
"""The looks of texts (see looks.js) that axe found to have enough contrast."""


async def accessible(page: Page, *, with_sidebar: bool = False) -> None:
    """Assert that axe finds no violation of WCAG 2.2 A and AA, in both themes.

    Only colors differ between the themes; all other rules run once. Contrast costs twice as much as
    all of them, so axe looks at a text only if it has not yet seen its colors on their background.

    The sidebar is the same on all pages, and as costly to check as the rest of most: the tests of
    the frame do. Of an open dialog only itself is checked: the page behind it is inert, and checked
    while none is open.
    """
    exclude = [] if with_sidebar else ["#sidebar"]
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_source())
    is_dark = await page.locator("html").get_attribute("data-bs-theme") == "dark"
    themes: list[Literal["light", "dark"]] = ["dark", "light"] if is_dark else ["light", "dark"]
    found = await page.evaluate(_RUN, [_ALL_BUT_COLORS, exclude])
    assert found == [], f"{page.url}: {found}"
    for theme in themes:
        await page.emulate_media(color_scheme=theme)
        await expect(page.locator("html")).to_have_attribute("data-bs-theme", theme)
        found = await poor_contrast(page, exclude)
        assert found == [], f"{page.url}, {theme}: {found}"


async def poor_contrast(page: Page, exclude: list[str]) -> list[str]:
    """List the texts that axe finds hard to read, of those whose look it has not yet passed."""
    seen: dict[str, Any] = await page.evaluate(
        _contrast_check(), [list(_COLORS), exclude, sorted(_proven)]
    )
    violations: list[str] = seen["violations"]
    if not violations:
        _proven.update(seen["passed"])
    return violations


@cache
def _source() -> str:
    return _AXE.read_text()


@cache
def _contrast_check() -> str:
    return _LOOKS.read_text()
