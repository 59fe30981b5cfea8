"""What axe finds on a page."""

from functools import cache
from pathlib import Path

from playwright.async_api import Page, expect

_AXE = Path(__file__).resolve().parents[2] / "api/assets/node_modules/axe-core/axe.min.js"
_RUN = """
async () => {
  await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const { violations } = await axe.run(document, { runOnly: { type: "tag", values: tags } });
  return violations.map(({ id, nodes }) =>
    [id, ...nodes.map((node) => `${node.target} ${node.failureSummary}`)].join(": "));
}
"""


async def accessible(page: Page) -> None:
    """Insist that axe finds nothing against WCAG 2.2 A and AA, in both themes."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_source())
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme)
        await expect(page.locator("html")).to_have_attribute("data-bs-theme", scheme)
        found = await page.evaluate(_RUN)
        assert found == [], f"{page.url}, {scheme}: {found}"


@cache
def _source() -> str:
    return _AXE.read_text()
