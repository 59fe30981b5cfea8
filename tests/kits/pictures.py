"""Small pictures for tests, sound and broken ones."""

from io import BytesIO
from typing import Any

from PIL import Image

NORTH, SECRET = b"N", b"taken by Ann at home"
_ORIENTATION, _DESCRIPTION, _GPS, _TURNED = 0x0112, 0x010E, 0x8825, 6


def written(picture: Image.Image, kind: str, **options: Any) -> bytes:
    """Encode a picture."""
    into = BytesIO()
    picture.save(into, kind, **options)
    return into.getvalue()


def read(content: bytes) -> Image.Image:
    """Decode a picture."""
    return Image.open(BytesIO(content))


def plain(color: str = "teal", size: tuple[int, int] = (40, 30), kind: str = "PNG") -> bytes:
    """Make a picture of one color."""
    return written(Image.new("RGB", size, color), kind)


def photo() -> bytes:
    """Make a JPEG of 40 x 30 as phones do: lying on its side, with a place, names and comments."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _TURNED
    exif[_DESCRIPTION] = SECRET.decode()
    exif.get_ifd(_GPS).update({1: "N", 2: (40.0, 42.0, 46.0), 3: "W", 4: (74.0, 0.0, 21.0)})
    made = Image.linear_gradient("L").resize((40, 30)).convert("RGB")
    return written(made, "JPEG", exif=exif, comment=SECRET, xmp=b"<x>" + SECRET + b"</x>") + SECRET


def animation() -> bytes:
    """Make a GIF of three frames that last 0.1, 0.2 and 0.3 s, with a comment."""
    first, *others = (Image.new("RGB", (20, 20), color) for color in ("red", "green", "blue"))
    return written(
        first,
        "GIF",
        save_all=True,
        append_images=others,
        duration=[100, 200, 300],
        loop=0,
        comment=SECRET,
    )


def bomb() -> bytes:
    """Make a PNG of 50 kB and 400 million pixels."""
    return written(Image.new("1", (20_000, 20_000)), "PNG")
