"""Options of the dropdowns that several pages share, as pairs of id and name."""

from api.pages.page import Page

_SENDERS_MOST = 200


async def group_options(page: Page) -> list[tuple[str, str]]:
    """Return all groups by name; a long dropdown gets a search box in the browser."""
    return [(str(group.id), group.name) for group in await page.services.pickers.groups()]


async def sender_options(page: Page) -> list[tuple[str, str]]:
    """Return the senders."""
    senders = await page.services.senders.find(limit=_SENDERS_MOST)
    return [(str(sender.id), sender.name) for sender in senders.items]
