"""Accessibility of every page."""

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.browser.accessibility import accessible
from tests.browser.chromium import DESKTOP, PHONE
from tests.browser.conftest import Browsing
from tests.browser.life import Life
from tests.browser.screenshots import SHOTS, Shot

_TOO_WIDE = """
() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth <= clientWidth) return [];
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > clientWidth)
    .map((one) => one.outerHTML.slice(0, 120));
}
"""

_PALE = "document.querySelector('main tbody tr:last-child td.nowrap').style.color = 'silver'"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def pages(browsing: Browsing) -> AsyncIterator[Mapping[bool, Page]]:
    """Open a page for all tests that are signed in, and one for the rest: a new one costs much."""
    yield {True: await browsing.open(), False: await browsing.open(None)}
    await browsing.close()


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
async def test_every_page_is_accessible(
    browsing: Browsing, pages: Mapping[bool, Page], life: Life, shot: Shot
) -> None:
    page = pages[shot.signed_in]
    await page.set_viewport_size(DESKTOP)
    await page.goto(shot.address(life))
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    if shot.then is not None:
        await shot.then(page)
    await accessible(page)
    await page.set_viewport_size(PHONE)
    too_wide = await page.evaluate(_TOO_WIDE)
    assert too_wide == [], "the page scrolls sideways on a phone"
    assert browsing.trouble == []


async def test_one_pale_text_among_many_alike_is_found(
    pages: Mapping[bool, Page], life: Life
) -> None:
    page = pages[True]
    await page.set_viewport_size(DESKTOP)
    await page.goto("/contacts")
    await page.evaluate(_PALE)
    with pytest.raises(AssertionError, match="color-contrast"):
        await accessible(page)
