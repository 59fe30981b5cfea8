"""The check of contrast finds what is hard to read, even after it passed all else on a page."""

import pytest

from tests.browser.accessibility import accessible, poor_contrast
from tests.browser.conftest import Visit

_ADD = """
(kind) => {
  const all = document.createElement("div");
  all.id = "all";
  all.style.width = "20rem";
  const within = document.createElement("div");
  const text = document.createElement("p");
  text.id = "added";
  text.textContent = "Can you read this?";
  within.append(text);
  all.append(within);
  document.querySelector("main").append(all);
  if (kind === "pale") text.style.color = "#777";
  if (kind === "on gray") within.style.backgroundColor = "#777";
  if (kind === "faded") within.style.opacity = 0.3;
  if (kind === "on what it does not stand in") {
    const other = document.createElement("div");
    Object.assign(other.style, { height: "3rem", backgroundColor: "#777" });
    within.before(other);
    Object.assign(within.style, { position: "relative" });
    Object.assign(text.style, { position: "absolute", top: "-2.5rem", margin: 0, width: "20rem" });
  }
  if (kind === "a link without a line amid text") {
    const link = document.createElement("a");
    link.href = "/";
    link.textContent = "here";
    const alike = document.documentElement.dataset.bsTheme === "dark" ? "#aaa" : "#444";
    Object.assign(link.style, { color: alike, textDecoration: "none" });
    text.append(" Then read on ", link, " or not.");
  }
}
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_only_new_text_that_is_hard_to_read_is_found(visit: Visit, theme: str) -> None:
    page = await visit(None, path="/sign-in")
    await accessible(page)
    await page.emulate_media(color_scheme="dark" if theme == "dark" else "light")

    kinds = (
        *("pale", "on gray", "faded", "on what it does not stand in"),
        "a link without a line amid text",
    )
    for kind in ("readable", *kinds):
        await page.evaluate(_ADD, kind)
        found = await poor_contrast(page, [])
        if kind == "readable":
            assert found == []
        else:
            assert found, kind
            assert all("#added" in one for one in found), (kind, found)
        await page.evaluate("document.getElementById('all').remove()")
