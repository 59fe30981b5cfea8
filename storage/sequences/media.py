"""Queries of pictures: kept here, named by steps and messages."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import insert
from sqlmodel import col, select

from storage.platform.database import Transaction
from storage.platform.rows import columns_of
from storage.tables.media import Media


@dataclass(frozen=True)
class PictureRecord:
    """A picture without its pixels; ``size`` is in bytes."""

    id: UUID
    url: str
    content_type: str
    size: int
    width: int
    height: int


async def insert_picture(tx: Transaction, values: Mapping[str, Any]) -> None:
    """Insert a picture; ``values`` by column name."""
    await tx.execute(insert(Media).values(**values))


async def same(tx: Transaction, sha256: str, url_start: str) -> PictureRecord | None:
    """Find the picture that was made of the same file, if its address starts like this.

    It is kept from being pruned, as by ``keep``.
    """
    sql = """
        UPDATE media SET checked_at = now() WHERE id = (
            SELECT id FROM media WHERE sha256 = :sha256 AND starts_with(url, :url_start)
            ORDER BY created_at LIMIT 1 FOR UPDATE
        ) RETURNING id, url, content_type, size, width, height
    """
    return await tx.one(PictureRecord, sql, sha256=sha256, url_start=url_start)


async def keep(tx: Transaction, urls: Collection[str]) -> set[str]:
    """Keep pictures from being pruned while they are put into a text.

    Others who do so wait for this transaction; pruning passes the pictures over.

    Returns:
        Those of the addresses that are pictures of ours.
    """
    sql = """
        WITH named AS (SELECT id FROM media WHERE url = ANY(:urls) ORDER BY id FOR UPDATE)
        UPDATE media m SET checked_at = now() FROM named WHERE m.id = named.id RETURNING m.url
    """
    named = _may_be_ours(urls)
    return set(await tx.column(sql, urls=named)) if named else set()


async def known(tx: Transaction, urls: Collection[str]) -> set[str]:
    """Tell which addresses are pictures of ours."""
    named = _may_be_ours(urls)
    sql = "SELECT url FROM media WHERE url = ANY(:urls)"
    return set(await tx.column(sql, urls=named)) if named else set()


def _may_be_ours(urls: Collection[str]) -> list[str]:
    return sorted({one for one in urls if one.isascii() and one.isprintable()})


async def content(tx: Transaction, token: str, url_end: str) -> tuple[bytes, str] | None:
    """Read a picture and its content type; None if no address of that token ends like this."""
    query = select(Media.content, Media.content_type).where(
        col(Media.token) == token, col(Media.url).endswith(url_end, autoescape=True)
    )
    found = (await tx.run(query)).first()
    return (found.content, found.content_type) if found else None


async def thumbnail(tx: Transaction, token: str) -> bytes | None:
    """Read a picture's thumbnail."""
    return await tx.value(bytes, select(Media.thumbnail).where(col(Media.token) == token))


async def find(tx: Transaction, picture_id: UUID) -> PictureRecord | None:
    """Read a picture without its pixels."""
    query = select(*columns_of(PictureRecord, Media)).where(col(Media.id) == picture_id)
    return await tx.one(PictureRecord, query)


async def forget(tx: Transaction, age: timedelta, most: int) -> int:
    """Delete pictures that nothing has named for this long; of so many, those not checked longest.

    A picture is in use while a message names it, a step of a version that is its sequence's
    present one or has enrollments, or a draft or template of steps. ``most`` is how many are
    checked; the number deleted is returned. Those that somebody is putting into a text are passed
    over.
    """
    sql = """
        WITH due AS (
            SELECT id, url FROM media WHERE checked_at < now() - CAST(:age AS interval)
            ORDER BY checked_at LIMIT :most FOR UPDATE SKIP LOCKED
        ), used AS (
            SELECT due.id FROM due WHERE EXISTS (
                SELECT 1 FROM messages m
                WHERE m.media_urls <> '[]' AND m.media_urls @> jsonb_build_array(due.url)
            ) OR EXISTS (
                SELECT 1 FROM steps s JOIN sequence_versions v ON v.id = s.version_id
                WHERE s.media_urls <> '[]' AND s.media_urls @> jsonb_build_array(due.url) AND (
                    EXISTS (SELECT 1 FROM enrollments e WHERE e.version_id = v.id)
                    OR NOT EXISTS (
                        SELECT 1 FROM sequence_versions later
                        WHERE later.sequence_id = v.sequence_id AND later.number > v.number
                    )
                )
            ) OR EXISTS (
                SELECT 1 FROM sequence_drafts d
                WHERE strpos(CAST(d.content AS text), due.url) > 0
            ) OR EXISTS (
                SELECT 1 FROM sequence_templates t
                WHERE strpos(CAST(t.content AS text), due.url) > 0
            )
        ), kept AS (
            UPDATE media SET checked_at = now() FROM used WHERE media.id = used.id
        )
        DELETE FROM media USING due
        WHERE media.id = due.id AND due.id NOT IN (SELECT id FROM used)
    """
    return await tx.count(sql, age=age, most=most)
