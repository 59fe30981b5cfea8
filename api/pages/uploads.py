"""Files uploaded with a form, read in pieces and never held whole in memory."""

from collections.abc import AsyncIterator

from starlette.datastructures import FormData, UploadFile

from domain.jobs.csv_rows import PIECE
from domain.platform.errors import InvalidFieldError

FIELDS_MOST = 10
"""Most fields of a form with a file."""


def typed(sent: FormData, name: str) -> str:
    """Return the text typed into a field, stripped."""
    value = sent.get(name)
    return value.strip() if isinstance(value, str) else ""


async def pieces(sent: FormData, name: str = "file") -> AsyncIterator[bytes]:
    """Read a file.

    Raises:
        InvalidFieldError: No file was chosen.
    """
    file = sent.get(name)
    if not isinstance(file, UploadFile) or not file.filename:
        raise InvalidFieldError(name, "is missing; choose one")
    while piece := await file.read(PIECE):
        yield piece
