"""Pictures made anew: what is kept of them, and what is refused."""

import pytest

from domain.platform.errors import InvalidFieldError
from services.sequences import reencoding
from services.sequences.reencoding import reencode, reencode_here
from tests.kits import pictures
from tests.kits.pictures import SECRET


def code_of(content: bytes) -> str:
    with pytest.raises(InvalidFieldError) as raised:
        reencode_here(content)
    assert raised.value.field == "file"
    return raised.value.field_code


def test_photo_is_upright_and_tells_nothing_but_its_pixels() -> None:
    sent = pictures.photo()
    assert SECRET in sent

    made = reencode(sent)

    assert (made.content_type, made.width, made.height) == ("image/jpeg", 30, 40)
    shown, small = pictures.read(made.content), pictures.read(made.thumbnail)
    assert (shown.format, shown.size) == ("JPEG", (30, 40))
    assert (small.format, small.size) == ("WEBP", (30, 40))
    for content, picture in ((made.content, shown), (made.thumbnail, small)):
        assert SECRET not in content
        assert not picture.getexif()


def test_animation_keeps_its_frames_and_their_timing() -> None:
    made = reencode_here(pictures.animation())

    shown = pictures.read(made.content)
    assert (made.content_type, getattr(shown, "n_frames", 0)) == ("image/gif", 3)
    lasts = []
    for frame in range(3):
        shown.seek(frame)
        lasts.append(shown.info["duration"])
    assert lasts == [100, 200, 300]
    assert SECRET not in made.content


def test_large_picture_gets_a_small_thumbnail() -> None:
    made = reencode_here(pictures.plain(size=(1200, 600)))

    assert (made.content_type, made.width, made.height) == ("image/png", 1200, 600)
    assert pictures.read(made.thumbnail).size == (480, 240)


def test_what_is_no_sound_picture_is_refused() -> None:
    photo = pictures.photo()
    broken = {
        "text": b"%PDF-1.7 or whatever it is",
        "nothing": b"",
        "beginning of a JPEG": photo[:300],
        "beginning of a PNG": pictures.plain()[:60],
        "another kind": pictures.plain(kind="WEBP"),
        "page": b"GIF89a<script>alert(1)</script>",
    }
    assert {name: code_of(file) for name, file in broken.items()} == dict.fromkeys(
        broken, "not_a_picture"
    )


def test_picture_of_too_many_pixels_is_refused_before_it_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert code_of(pictures.bomb()) == "picture_too_large"
    monkeypatch.setattr(reencoding, "MAX_PICTURE_PIXELS", 2 * 20 * 20)
    assert code_of(pictures.animation()) == "picture_too_large"


def test_picture_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(InvalidFieldError) as raised:
        reencode(pictures.plain(), most_seconds=0.001)
    assert raised.value.field_code == "picture_too_slow"
