"""Accessibility of every page."""

import pytest
from playwright.async_api import expect

from domain.statuses.access import Role
from tests.browser.accessibility import accessible
from tests.browser.chromium import PHONE
from tests.browser.conftest import Visit
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


@pytest.mark.parametrize("shot", SHOTS, ids=lambda shot: shot.name)
async def test_every_page_is_accessible(visit: Visit, life: Life, shot: Shot) -> None:
    page = await visit(Role.ADMIN if shot.signed_in else None, path=shot.address(life))
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    if shot.then is not None:
        await shot.then(page)
    await accessible(page)
    await page.set_viewport_size(PHONE)
    too_wide = await page.evaluate(_TOO_WIDE)
    assert too_wide == [], "the page scrolls sideways on a phone"
