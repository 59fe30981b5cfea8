"""Accessibility checks with axe."""

from functools import cache
from pathlib import Path

from playwright.async_api import Page

_AXE = Path(__file__).resolve().parents[2] / "api/assets/node_modules/axe-core/axe.min.js"
_RUN = """
async ([rules, colors, exclude]) => {
  // The contrast of texts that look alike, as in the rows of a list, takes axe half of its time. Of
  // those with the same classes and colors, all the way up, only the longest is measured.
  const looks = new Map();
  const look = (one) => {
    if (!one) return "";
    if (!looks.has(one)) {
      const { color, backgroundColor, backgroundImage, opacity, fontSize, fontWeight } =
        getComputedStyle(one);
      const own = [one.localName, one.className, one.closest("label")?.control?.disabled,
        one.matches(":disabled, [aria-disabled=true]"), color, backgroundColor, backgroundImage,
        opacity, fontSize, fontWeight];
      looks.set(one, `${look(one.parentElement)} > ${own}`);
    }
    return looks.get(one);
  };
  const words = (one) => {
    const texts = [...one.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE);
    return [one.value || one.placeholder, ...texts.map(({ data }) => data.trim())].join("");
  };
  const visible = { opacityProperty: true, visibilityProperty: true };
  const choose = (within) => {
    looks.clear();
    const longest = new Map();
    for (const one of within.querySelectorAll("*")) {
      const { length } = words(one);
      if (!length || !one.checkVisibility(visible)) continue;
      const alike = `${look(one)} ${one.id}`;
      if (length > (longest.get(alike)?.length ?? 0)) longest.set(alike, { one, length });
    }
    return [...longest.values()].map(({ one }) => one);
  };
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-measured]" }] });
  const within = document.querySelector("dialog[open]") ?? document;
  const inspect = async (runOnly) => {
    await Promise.all(document.getAnimations().map(({ finished }) => finished.catch(() => {})));
    const measured = choose(within);
    for (const one of measured) one.dataset.measured = "";
    // Without resultTypes axe would also describe every element that passed.
    const options = { runOnly, resultTypes: ["violations"] };
    const { violations } = await axe.run({ include: within, exclude }, options);
    for (const one of measured) delete one.dataset.measured;
    return violations.map(({ id, nodes }) =>
      [id, ...nodes.map((node) => `${node.target} ${node.failureSummary}`)].join(": "));
  };
  const { dataset } = document.documentElement;
  const theme = dataset.bsTheme;
  const found = { [theme]: await inspect(rules) };
  dataset.bsTheme = theme === "dark" ? "light" : "dark";
  found[dataset.bsTheme] = await inspect(colors);
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
    assert found == {"light": [], "dark": []}, f"{page.url}: {found}"


@cache
def _source() -> str:
    return _AXE.read_text()
