"""The segment count shown beside a text field while someone types."""

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.forms import sentence
from api.pages.page import Page, PageDep
from api.pages.sequences.steps import OWN_NAMES
from domain.platform.errors import InvalidFieldError

router = APIRouter()


@dataclass(frozen=True)
class Pill:
    """A merge field to insert into a text: its label, and how it is written."""

    words: str
    text: str


async def merge_pills(page: Page) -> list[Pill]:
    """Return what a text may say of a contact: their own names, then the workspace's fields."""
    fields = await page.services.pickers.contact_fields()
    return [
        *(Pill(words, _written(name, fallback)) for name, words, fallback in OWN_NAMES),
        *(Pill(words, _written(key, "")) for key, words in fields.items()),
    ]


def _written(name: str, fallback: str) -> str:
    return f"{{{{{name}|{fallback}}}}}" if fallback else f"{{{{{name}}}}}"


@router.post("/compose/segments")
async def count_segments(page: PageDep, field: str = "body") -> Response:
    """Count the segments of the text in a field, its merge fields replaced by their fallbacks."""
    body = (await page.request.form()).get(field)
    segments, reason = None, ""
    if isinstance(body, str) and body.strip():
        try:
            segments = (await page.services.previews.text(body)).segments
        except InvalidFieldError as error:
            reason = sentence(error.reason)
    return page.part("macros/_segments.html", segments=segments, reason=reason)
