"""Accessibility checks with axe."""

from functools import cache
from pathlib import Path

from playwright.async_api import Page, expect

_AXE = Path(__file__).resolve().parents[2] / "api/assets/node_modules/axe-core/axe.min.js"
_RUN = """
async (runOnly) => {
  await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
  // Without resultTypes axe would also describe every element that passed.
  const { violations } = await axe.run(document, { runOnly, resultTypes: ["violations"] });
  return violations.map(({ id, nodes }) =>
    [id, ...nodes.map((node) => `${node.target} ${node.failureSummary}`)].join(": "));
}
"""
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
_WHAT = {
    "light": {"type": "tag", "values": _TAGS},
    # Only colors differ between the themes; all other rules run once.
    "dark": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]},
}


async def accessible(page: Page) -> None:
    """Assert that axe finds no violation of WCAG 2.2 A and AA, in both themes."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_source())
    for scheme, rules in _WHAT.items():
        await page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type] # one of its two
        await expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
        found = await page.evaluate(_RUN, rules)
        assert found == [], f"{page.url}, {scheme}: {found}"


@cache
def _source() -> str:
    return _AXE.read_text()
