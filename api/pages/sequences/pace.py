"""A sequence's queue: how fast due texts go, above its tabs."""

from datetime import timedelta
from math import ceil
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from api.pages.page import PageDep
from domain.platform.durations import in_units

router = APIRouter()

_MINUTE, _HOUR = 60, 3_600


@router.get("/sequences/{sequence_id}/pace")
async def show_pace(page: PageDep, sequence_id: UUID) -> Response:
    """Show how fast texts that wait in line go; empty if none do."""
    queue = await page.services.pace.of(sequence_id)
    words = ""
    if queue is not None:
        number, more = queue.texts.number, "" if queue.texts.is_exact else "+"
        texts = f"{number:,}{more} text{'' if number == 1 else 's'} in line"
        left = left_words(queue.left, is_exact=queue.is_exact)
        words = f"{texts}: sending {rate_words(queue.texts_per_second)}, {left}"
    return page.part("sequences/_pace.html", words=words)


def rate_words(texts_per_second: float) -> str:
    """Write a rate as "1 a second"; slower ones by the minute or the hour."""
    for unit, seconds in (("second", 1), ("minute", _MINUTE)):
        rate = round(texts_per_second * seconds, 1)
        if rate >= 1:
            return f"{rate:g} a {unit}"
    return f"{round(texts_per_second * _HOUR, 1):g} an hour"


def left_words(left: timedelta, *, is_exact: bool = True) -> str:
    """Write how long it takes yet: "about 3 min left"."""
    seconds = left.total_seconds()
    roughly = "about" if is_exact else "more than"
    if seconds < _MINUTE:
        return "less than a minute left"
    minutes = timedelta(minutes=ceil(seconds / _MINUTE))
    return f"{roughly} {in_units(minutes, short=True)} left"
