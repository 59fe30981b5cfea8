"""Writing texts: the merge fields to insert, and the segment count shown while someone types."""

from collections.abc import Mapping
from collections.abc import Sequence as Many
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.forms import sentence
from api.pages.page import PageDep
from domain.platform.errors import InvalidFieldError
from domain.statuses.contacts import FieldType
from storage.contacts.fields import FieldDetails

router = APIRouter()

OWN_NAMES = (
    ("first_name", "First name", "there"),
    ("last_name", "Last name", ""),
    ("full_name", "Full name", "there"),
    ("phone", "Phone", ""),
)
"""A contact's own merge fields, their labels, and fallbacks for contacts without a value."""


@dataclass(frozen=True)
class MergeField:
    """A merge field to insert.

    Attributes:
        fallback: What to suggest for contacts without a value.
        may_be_blank: Whether a text goes without value and fallback; else it waits.
        may_be_date: Whether it can be written in one of several formats.
    """

    name: str
    label: str
    fallback: str
    may_be_blank: bool
    may_be_date: bool


def merge_fields(fields: Many[FieldDetails]) -> list[MergeField]:
    """Return the merge fields to insert: a contact's own, then the workspace's fields."""
    return [
        *(MergeField(*one, may_be_blank=True, may_be_date=False) for one in OWN_NAMES),
        *(
            MergeField(
                one.key,
                one.label,
                "",
                may_be_blank=False,
                may_be_date=one.type is FieldType.DATE,
            )
            for one in fields
        ),
    ]


def merge_labels(fields: Mapping[str, str]) -> dict[str, str]:
    """Return what merge fields are called, by name; variables go by their own."""
    return {**{name: label for name, label, _ in OWN_NAMES}, **fields}


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
