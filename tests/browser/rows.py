"""The rows of a list that can be selected."""

from playwright.async_api import Locator, Page


def rows(page: Page) -> Locator:
    return page.locator("#selection tbody tr")


def row(page: Page, name: str) -> Locator:
    return rows(page).filter(has=page.get_by_role("link", name=name, exact=True))
