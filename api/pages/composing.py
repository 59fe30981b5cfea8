"""What is said beside a text field while somebody writes: how many segments, and why."""

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.forms import sentence
from api.pages.page import PageDep
from domain.platform.errors import InvalidFieldError

router = APIRouter()


@router.post("/compose/segments")
async def count_segments(page: PageDep, field: str = "body") -> Response:
    """Measure what is typed in a field, its merge fields filled by their fallbacks."""
    form = await page.request.form()
    body = form.get(field)
    if not isinstance(body, str) or not body.strip():  # nothing is written, nothing is wrong yet
        return page.part("macros/_segments.html", segments=None, reason="")
    try:
        preview = await page.services.previews.text(body)
    except InvalidFieldError as error:
        return page.part("macros/_segments.html", segments=None, reason=sentence(error.reason))
    return page.part("macros/_segments.html", segments=preview.segments, reason="")
