"""The groups as dropdowns of pages offer them."""

from api.pages.page import Page


async def group_options(page: Page) -> list[tuple[str, str]]:
    """Give all groups by name; a box to search them comes with the dropdown where there are many.

    Returns:
        Pairs of id and name.
    """
    return [(str(one.id), one.name) for one in await page.services.pickers.groups()]
