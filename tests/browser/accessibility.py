"""Accessibility checks with axe."""

from functools import cache
from pathlib import Path

from playwright.async_api import Page

_AXE = Path(__file__).resolve().parents[2] / "api/assets/node_modules/axe-core/axe.min.js"
_RUN = """
async ([rules, colors, exclude]) => {
  const look = async (runOnly) => {
    await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
    const what = { include: document.querySelector("dialog[open]") ?? document, exclude };
    // Without resultTypes axe would also describe every element that passed.
    const { violations } = await axe.run(what, { runOnly, resultTypes: ["violations"] });
    return violations.map(({ id, nodes }) =>
      [id, ...nodes.map((node) => `${node.target} ${node.failureSummary}`)].join(": "));
  };
  const { dataset } = document.documentElement;
  const theme = dataset.bsTheme;
  const found = { [theme]: await look(rules) };
  dataset.bsTheme = theme === "dark" ? "light" : "dark";
  found[dataset.bsTheme] = await look(colors);
  dataset.bsTheme = theme;
  return found;
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
    found = await page.evaluate(_RUN, [_ALL, _COLORS, exclude])
    assert found == {"light": [], "dark": []}, page.url


@cache
def _source() -> str:
    return _AXE.read_text()
