"""The segment count shown beside a text field while someone types."""

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.forms import sentence
from api.pages.page import PageDep
from domain.platform.errors import InvalidFieldError

router = APIRouter()


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
