"""Routes of pictures: sending one in, and the public addresses they are served at."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import UploadFile

from api.dependencies import CurrentUser, ServicesDep
from api.idempotency import StreamedOnceDep
from api.problems import Problem
from api.schemas.media import Picture
from domain.platform.errors import InvalidFieldError
from domain.sequences.pictures import PATH, THUMBNAIL
from services.sequences.pictures import ServedPicture

UPLOAD_PATH = "/media"

MAX_BODY_BYTES = 12_000_000
"""Largest body of an upload: photos straight from a phone come whole, so that the answer can say
what is wrong with them."""

router = APIRouter(tags=["media"])
public = APIRouter(prefix=PATH, include_in_schema=False)

_FORM = "multipart/form-data"
_UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            _FORM: {
                "schema": {
                    "type": "object",
                    "title": "NewPicture",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                    "additionalProperties": False,
                }
            }
        },
    }
}

_FOR_EVER = "public, max-age=31536000, immutable"
"""An address shows the same picture for as long as it shows any."""


@router.post(UPLOAD_PATH, status_code=201, response_model=Picture, openapi_extra=_UPLOAD)
async def upload_picture(
    request: Request, services: ServicesDep, user: CurrentUser, once: StreamedOnceDep
) -> Response:
    """Take in a JPEG, PNG or GIF of at most 5 MB and 40 million pixels, for texts to send.

    A form with the one field `file`, as browsers and HTTP libraries send files. The kind is told by
    the content, not by the name. The picture is made anew from its pixels: upright, without EXIF
    (which tells where a photo was taken), comments or anything else; a GIF keeps its frames. The
    same file again is the same picture. `Location` is its `url`, which is public, and cannot be
    guessed. A picture that no step and no text names for a day is deleted.

    422 of the field `file`: `missing`, `not_a_picture`, `picture_too_large`, `picture_too_slow`.
    413 `body_too_large` above 12 MB, 415 for anything but a form, 429 `too_many_requests` after 300
    in an hour.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        return Problem(
            415, "unsupported_media_type", f"send {_FORM} with the picture in the field file"
        ).response()
    content = await _file(request)
    keyed = replace(once, request_hash=hashlib.sha256(content).hexdigest())
    answer = await keyed.answer(lambda: services.pictures.add(content, user.id), repeatable=True)
    answer.headers["Location"] = json.loads(bytes(answer.body))["url"]
    return answer


async def _file(request: Request) -> bytes:
    """Read the file of a form that has nothing else.

    Raises:
        InvalidFieldError: ``missing``, or ``unknown_field``.
    """
    async with request.form(max_files=1, max_fields=1) as sent:
        for name in sent:
            if name != "file":
                raise InvalidFieldError(
                    name, "is not a known field; leave it out", code="unknown_field"
                )
        file = sent.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidFieldError(
                "file", "is missing; send a JPEG, PNG or GIF as a file", code="missing"
            )
        return await file.read()


@public.get("/{name}")
async def show_picture(name: str, request: Request, services: ServicesDep) -> Response:
    """Serve a picture by the last part of its address."""
    return await _served(request, lambda: services.pictures.content(name))


@public.get(f"/{{token}}/{THUMBNAIL}")
async def show_thumbnail(token: str, request: Request, services: ServicesDep) -> Response:
    """Serve the small copy of a picture."""
    return await _served(request, lambda: services.pictures.thumbnail(token))


async def _served(
    request: Request, read: Callable[[], Awaitable[ServedPicture | None]]
) -> Response:
    """Serve what an address shows, which never changes; it is not read for who has it already."""
    tag = f'"{hashlib.sha256(request.url.path.encode()).hexdigest()[:32]}"'
    headers = {
        "Cache-Control": _FOR_EVER,
        "ETag": tag,
        "Cross-Origin-Resource-Policy": "cross-origin",  # public, whoever's page shows it
    }
    asked = request.headers.get("if-none-match", "")
    if tag in {one.strip().removeprefix("W/") for one in asked.split(",")}:
        return Response(status_code=304, headers=headers)
    found = await read()
    if found is None:
        return Response("There is no picture here.\n", 404, media_type="text/plain")
    if asked.strip() == "*":
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.content_type, headers=headers)
