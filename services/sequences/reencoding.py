"""Pictures made anew from their pixels, in a process of its own.

What decodes a file of a stranger runs apart: it can be ended when it takes too long, and when it
crashes nothing else does. ``reencode`` starts it; the process reads the file from its standard
input and writes one line of JSON and the bytes to its standard output.
"""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from domain.platform.errors import InvalidFieldError
from domain.sequences.pictures import MAX_PICTURE_BYTES, MAX_PICTURE_PIXELS

MAX_SECONDS = 20.0
"""How long one picture may take; the largest take about three on an old machine."""

_ROOT = Path(__file__).resolve().parents[2]
_THUMBNAIL_SIZE = (480, 480)
_QUALITIES = (85, 70)
_MODES = {"JPEG": ("L", "RGB"), "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")}
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""What Pillow raises for files that are broken, in one way or another."""

_REFUSALS = {
    "not_a_picture": "is no JPEG, PNG or GIF that can be read; save it again as one of these",
    "picture_too_large": (
        f"is too large; send at most {MAX_PICTURE_BYTES // 1_000_000} MB and"
        f" {MAX_PICTURE_PIXELS // 1_000_000} million pixels, all frames together"
    ),
    "picture_too_slow": "takes too long to read; save it again as a plain JPEG, PNG or GIF",
}


@dataclass(frozen=True)
class Reencoded:
    """A picture made anew, upright and with nothing but its pixels; ``thumbnail`` is WebP."""

    content: bytes
    content_type: str
    width: int
    height: int
    thumbnail: bytes


class _TooLargeError(Exception):
    """More pixels, or bytes once encoded, than are taken."""


def refused(code: str) -> InvalidFieldError:
    """Return the error that refuses a file: one of ``_REFUSALS``."""
    return InvalidFieldError("file", _REFUSALS[code], code=code)


def reencode(content: bytes, *, most_seconds: float = MAX_SECONDS) -> Reencoded:
    """Make a picture anew in another process; this one's thread waits.

    Raises:
        InvalidFieldError: ``not_a_picture``, ``picture_too_large``, ``picture_too_slow``.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "services.sequences.reencoding"],
            input=content,
            capture_output=True,
            cwd=_ROOT,
            timeout=most_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise refused("picture_too_slow") from None
    line, _, found = done.stdout.partition(b"\n")
    if done.returncode or not line:
        raise refused("not_a_picture")
    facts: dict[str, Any] = json.loads(line)
    if "refused" in facts:
        raise refused(facts["refused"])
    size = facts.pop("size")
    return Reencoded(content=found[:size], thumbnail=found[size:], **facts)


def reencode_here(content: bytes) -> Reencoded:
    """Make a picture anew in this process.

    The file is read whole, so that a truncated one is noticed. What is written has the picture's
    color profile, but neither EXIF nor XMP nor comments nor what followed the picture's end; the
    orientation that EXIF asks for is applied. Animated GIFs keep their frames and their timing.

    Raises:
        InvalidFieldError: As ``reencode``.
    """
    try:
        with Image.open(BytesIO(content), formats=("JPEG", "PNG", "GIF")) as picture:
            # Phones put a second picture into some JPEGs, which makes them MPO.
            kind = "JPEG" if picture.format == "MPO" else picture.format or ""
            _require_few_pixels(picture)
            if kind == "GIF":
                _read_all_frames(picture)
                return _made(picture, "image/gif", _gif(picture))
            upright = _plain(picture, kind)
            encode = _png if kind == "PNG" else _jpeg
            return _made(upright, f"image/{kind.lower()}", encode(upright))
    except (_TooLargeError, Image.DecompressionBombError):
        raise refused("picture_too_large") from None
    except _BROKEN:
        raise refused("not_a_picture") from None


def _require_few_pixels(picture: Image.Image, frames: int = 1) -> None:
    if picture.width * picture.height * frames > MAX_PICTURE_PIXELS:
        raise _TooLargeError


def _frames(picture: Image.Image) -> Iterator[int]:
    """Go through the frames of an animation, and count them from 1."""
    count = 0
    while True:
        try:
            picture.seek(count)
        except EOFError:
            return
        count += 1
        yield count


def _read_all_frames(picture: Image.Image) -> None:
    for count in _frames(picture):
        _require_few_pixels(picture, count)
        picture.load()
        # Saved with each frame otherwise.
        picture.info.pop("comment", None)
    picture.seek(0)


def _plain(picture: Image.Image, kind: str) -> Image.Image:
    """Return a picture upright, in a mode that its kind can write, without what is not pixels."""
    picture.load()
    upright = ImageOps.exif_transpose(picture)
    kept: dict[str | tuple[int, int], Any] = {}
    if "transparency" in upright.info:
        kept["transparency"] = upright.info["transparency"]
    if upright.mode not in _MODES[kind]:
        upright = upright.convert(
            "RGBA" if kind == "PNG" and upright.has_transparency_data else "RGB"
        )
    elif "icc_profile" in picture.info:
        kept["icc_profile"] = picture.info["icc_profile"]
    upright.info = kept
    return upright


def _jpeg(picture: Image.Image) -> bytes:
    profile = picture.info.get("icc_profile")
    for quality in _QUALITIES:
        written = _written(picture, "JPEG", quality=quality, icc_profile=profile)
        if len(written) <= MAX_PICTURE_BYTES:
            break
    return written


def _png(picture: Image.Image) -> bytes:
    return _written(picture, "PNG", optimize=False)


def _gif(picture: Image.Image) -> bytes:
    return _written(picture, "GIF", save_all=True, comment=b"")


def _written(picture: Image.Image, kind: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's
    into = BytesIO()
    picture.save(into, kind, **options)
    return into.getvalue()


def _made(picture: Image.Image, content_type: str, content: bytes) -> Reencoded:
    if len(content) > MAX_PICTURE_BYTES:
        raise _TooLargeError
    small = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    small.thumbnail(_THUMBNAIL_SIZE)
    small.info = {}
    thumbnail = _written(small, "WEBP", quality=80)
    return Reencoded(content, content_type, picture.width, picture.height, thumbnail)


def main(read: Callable[[], bytes], write: Callable[[bytes], object]) -> None:
    """Answer one file."""
    try:
        made = reencode_here(read())
    except InvalidFieldError as error:
        write(json.dumps({"refused": error.field_code}).encode() + b"\n")
        return
    facts = {
        "size": len(made.content),
        "content_type": made.content_type,
        "width": made.width,
        "height": made.height,
    }
    write(json.dumps(facts).encode() + b"\n" + made.content + made.thumbnail)


if __name__ == "__main__":
    main(sys.stdin.buffer.read, sys.stdout.buffer.write)
