"""Files that came with inbound texts, served through us: the provider asks for our password."""

from mimetypes import guess_extension
from uuid import UUID

from fastapi import Response

from api import problems
from domain.messaging.ports import ProviderUnavailableError
from domain.sequences.pictures import type_of
from services.messaging.attachments import Attachments

MOST = 100
"""The highest number of a file of one text."""


async def served(attachments: Attachments, message_id: UUID, number: int) -> Response:
    """Serve a picture that came with a text; any other file only to be saved.

    Raises:
        NotFoundError: The text has no such file, or the provider no longer has it.
    """
    try:
        found = await attachments.get(message_id, number)
    except ProviderUnavailableError:
        return problems.unavailable(
            "provider_unavailable", "the provider does not answer; try again soon"
        ).response()
    kind = type_of(found.content)
    if kind:
        return Response(found.content, media_type=kind)
    ending = guess_extension(found.content_type.partition(";")[0].strip()) or ""
    name = f'attachment; filename="file-{number}{ending}"'
    return Response(
        found.content,
        media_type="application/octet-stream",
        headers={"Content-Disposition": name},
    )
