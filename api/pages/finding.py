"""The command palette: pages, sequences, groups and contacts that match what is typed."""

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from api.pages.menu import SETTINGS, SIDEBAR, Entry
from api.pages.page import Page, PageDep
from api.paging import FilterQuery, InQuery
from domain.platform.errors import InvalidFieldError
from services.enrollments.finding import COUNTED_MOST, FOUND_MOST, Found

router = APIRouter()

_MORE = (
    ("add_contact", Entry("Add contact", "/contacts/new", icon="user-plus")),
    ("import_contacts", Entry("Import contacts", "/contacts/import", icon="upload")),
    ("import_opt_outs", Entry("Import opt-outs", "/settings/opt-outs/import", icon="upload")),
)
"""Pages that no menu shows, each with the route that a user must be allowed to use."""


class FindQuery(FilterQuery):
    """What is sought."""

    search: Annotated[str, Field(max_length=200)] = ""


@router.get("/find")
async def find_anything(page: PageDep, query: InQuery[FindQuery]) -> Response:
    """Show where someone may want to go."""
    try:
        found = await page.services.finding.find(query.search)
    except InvalidFieldError:
        found = Found()
    return page.part(
        "finding/_results.html",
        search=query.search.strip(),
        pages=_pages(page, query.search),
        found=found,
        more_most=COUNTED_MOST - FOUND_MOST,
    )


def _pages(page: Page, search: str) -> list[Entry]:
    """List the pages whose names have every word that was typed; without any, the first."""
    offered = [
        *(entry for entry in SIDEBAR if page.sees(entry)),
        *(entry for route, entry in _MORE if page.may(route)),
        *(
            Entry(f"Settings: {entry.label}", entry.path, icon=entry.icon)
            for entry in SETTINGS
            if page.sees(entry)
        ),
    ]
    words = search.casefold().split()
    fitting = [one for one in offered if all(word in one.label.casefold() for word in words)]
    return fitting if words else fitting[:FOUND_MOST]
