"""Pictures: sending them in, the addresses they are served at, texts that name them."""

import logging
import re
from collections.abc import Mapping
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI

import services.sequences.pictures as uploads
from api.examples import DRAFT
from domain.sequences.pictures import MAX_PICTURE_BYTES
from services.sequences.pictures import Pictures
from storage.platform.database import Database
from tests.api.conftest import Connect
from tests.kits import pictures
from tests.kits.pictures import SECRET
from tests.kits.query_plans import asked_of

_PHOTO = {"file": ("../IMG 1.png", pictures.photo(), "application/x-nonsense")}


async def send(client: httpx.AsyncClient, content: bytes, **headers: str) -> httpx.Response:
    return await client.post("/api/media", files={"file": content}, headers=headers)


def problem(answer: httpx.Response) -> tuple[int, str, list[str]]:
    body = answer.json()
    return answer.status_code, body["code"], [one["field"] for one in body.get("errors", ())]


async def test_picture_is_made_anew_and_served_to_anyone_who_knows_its_address(
    member: httpx.AsyncClient,
    anonymous: httpx.AsyncClient,
    database: Database,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "api.request_log")
    answer = await member.post("/api/media", files=_PHOTO)

    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert answer.headers["location"] == made["url"]
    address = re.fullmatch(r"https://segue\.test/media/([\w-]{32})\.jpg", made["url"])
    assert address
    small = f"https://segue.test/media/{address[1]}/thumbnail.webp"
    assert made == {
        "id": made["id"],
        "url": made["url"],
        "thumbnail_url": small,
        "content_type": "image/jpeg",
        "size": made["size"],
        "width": 30,
        "height": 40,
    }

    for url, kind in ((made["url"], "image/jpeg"), (small, "image/webp")):
        seen = await anonymous.get(url)
        assert seen.status_code == 200
        assert SECRET not in seen.content
        assert seen.headers["content-type"] == kind
        assert seen.headers["x-content-type-options"] == "nosniff"
        assert seen.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "set-cookie" not in seen.headers
        async with asked_of(database) as asked:
            known = await anonymous.get(url, headers={"If-None-Match": seen.headers["etag"]})
        assert (known.status_code, known.content) == (304, b"")
        assert not any("FROM media" in one for one, _ in asked)
        any_of_it = await anonymous.get(url, headers={"If-None-Match": "*"})
        assert any_of_it.status_code == 304
        head = await anonymous.head(url)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(seen.content))
    assert len((await anonymous.get(made["url"])).content) == made["size"]
    logged = [one.getMessage() for one in caplog.records if one.name == "api.request_log"]
    assert "GET /media/{name} 200" in logged
    assert not any(address[1] in line for line in logged)


async def test_address_that_no_picture_has_is_not_found(
    member: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    url = (await send(member, pictures.plain())).json()["url"]
    wrong = (
        url.replace(".png", ".jpg"),
        url.replace(".png", ""),
        url.replace(".png", "%25.png"),
        url[:-6] + "AA.png",
        "/media/%00.png",
        "/media/_.png",
        "/media/",
        "/media/x/thumbnail.webp",
    )
    for one in wrong:
        answer = await anonymous.get(one)
        assert answer.status_code == 404, one
        if one != "/media/":
            assert answer.headers["content-type"].startswith("text/plain")
            assert answer.headers["cache-control"] == "no-store"


async def test_what_is_no_picture_is_refused_by_field(
    member: httpx.AsyncClient, viewer: httpx.AsyncClient
) -> None:
    picture = pictures.plain()
    file = {"file": picture}
    taken: Mapping[str, tuple[httpx.Response, tuple[int, str, list[str]]]] = {
        "text": (
            await member.post("/api/media", files={"file": ("a.png", b"hello", "image/png")}),
            (422, "not_a_picture", ["file"]),
        ),
        "truncated": (
            await send(member, pictures.photo()[:300]),
            (422, "not_a_picture", ["file"]),
        ),
        "bomb": (await send(member, pictures.bomb()), (422, "picture_too_large", ["file"])),
        "too many bytes": (
            await send(member, picture + bytes(MAX_PICTURE_BYTES)),
            (422, "picture_too_large", ["file"]),
        ),
        "far too many": (await send(member, bytes(12_000_001)), (413, "body_too_large", [])),
        "nothing": (await send(member, b""), (422, "not_a_picture", ["file"])),
        "no file": (
            await member.post("/api/media", files={"file": (None, "hello")}),
            (422, "missing", ["file"]),
        ),
        "another field": (
            await member.post("/api/media", files=file, data={"name": "x"}),
            (422, "unknown_field", ["name"]),
        ),
        "no form": (
            await member.post("/api/media", content=picture, headers={"Content-Type": "image/png"}),
            (415, "unsupported_media_type", []),
        ),
        "viewer": (await send(viewer, picture), (403, "forbidden", [])),
    }
    for name, (answer, expected) in taken.items():
        assert problem(answer) == expected, name


async def test_same_file_again_is_the_same_picture(
    member: httpx.AsyncClient, connect: Connect
) -> None:
    first = await send(member, pictures.photo(), **{"Idempotency-Key": "one"})
    again = await send(member, pictures.photo(), **{"Idempotency-Key": "one"})
    unkeyed = await send(member, pictures.photo())
    other = await send(member, pictures.plain("red"))
    reused = await send(member, pictures.plain("red"), **{"Idempotency-Key": "one"})

    assert first.json() == again.json() == unkeyed.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["location"] == first.headers["location"]
    assert other.json()["url"] != first.json()["url"]
    assert problem(reused) == (409, "idempotency_key_reused", [])


async def test_steps_name_pictures_that_are_here(
    member: httpx.AsyncClient, there: dict[str, str], app: FastAPI
) -> None:
    """On one machine this site is at plain HTTP, where no other picture is taken from."""
    here = (await send(member, pictures.plain())).json()["url"]
    local = Pictures(app.state.services.database, public_base_url="http://localhost:8000")
    user_id = UUID((await member.get("/api/me")).json()["id"])
    plain = (await local.add(pictures.plain("red"), user_id)).url
    gone = here.replace(".png", "x.png")
    urls = [here, plain, gone, "http://localhost:8000/media/x.png", "https://example.com/a.png"]
    step = {"body": "Look", "delay_seconds": 0}

    refused = await member.patch(
        f"/api/sequences/{there[DRAFT]}", json={"steps": [{**step, "media_urls": urls}]}
    )
    taken = await member.patch(
        f"/api/sequences/{there[DRAFT]}", json={"steps": [{**step, "media_urls": urls[:2]}]}
    )

    assert [(one["field"], one["code"]) for one in refused.json()["errors"]] == [
        ("steps.0.media_urls.2", "unknown_picture"),
        ("steps.0.media_urls.3", "bad_media_url"),
    ]
    assert taken.json()["steps"][0]["media_urls"] == urls[:2]


async def test_too_many_uploads_in_an_hour_are_refused(
    member: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "UPLOADS_PER_HOUR", 1)
    assert (await send(member, pictures.plain())).status_code == 201
    answer = await send(member, pictures.plain("red"))
    assert problem(answer) == (429, "too_many_requests", [])
    assert int(answer.headers["retry-after"]) <= 3600
