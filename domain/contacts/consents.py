"""Consents: that a number may be texted, since when, by whose word and in which words."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.platform import names
from domain.platform.errors import InvalidFieldError, Problems

SOURCE_LENGTH = 200
"""Most characters of where a consent comes from."""

WORDING_LENGTH = 2000
"""Most characters of the words that were agreed to."""

ADDRESS_LENGTH = 100
"""Most characters of the network address that a consent came from."""

_CLOCKS_APART = timedelta(minutes=5)
"""How far ahead of ours another program's clock may be."""

_TO_NOON = timedelta(hours=12)
_AHEAD = timedelta(hours=14)
"""How far ahead of UTC the date is anywhere."""


@dataclass(frozen=True)
class Agreed:
    """What somebody agreed to, and how.

    Attributes:
        source: Where: a form, a page, a call, in a few words.
        given_at: When.
        wording: The words that they agreed to; None if those were not kept.
        written: They agreed in writing: by a form, a tick, a signature. It takes the wording.
        address: The network address that it came from.
    """

    source: str
    given_at: datetime
    wording: str | None = None
    written: bool = False
    address: str | None = None


def checked(
    source: str,
    given_at: datetime,
    *,
    wording: str | None = None,
    written: bool = False,
    address: str | None = None,
    now: datetime,
) -> Agreed:
    """Clean what is said of a consent.

    Raises:
        InvalidRequestError: All that is wrong: ``source``, ``wording``, ``given_at``, ``address``.
    """
    problems = Problems()
    said = problems.of(lambda: names.clean(source, field="source", most=SOURCE_LENGTH))
    words = problems.of(
        lambda: names.clean_lines(wording or "", field="wording", most=WORDING_LENGTH, blank=True)
    )
    came_from = problems.of(
        lambda: names.clean(address or "", field="address", most=ADDRESS_LENGTH, blank=True)
    )
    if written and words == "":
        problems.add(
            "wording",
            "is missing; a written consent takes the words that they agreed to",
            code="missing",
        )
    if given_at > now + _CLOCKS_APART:
        with problems.collect():
            raise _in_the_future("given_at")
    problems.raise_any()
    return Agreed(said, min(given_at, now), words or None, written, came_from or None)


def moment_of(text: str, now: datetime, *, field: str = "given_at") -> datetime:
    """Read a moment as files and forms have it; a date alone is its noon in UTC, or now.

    At noon in UTC it is the same day from Alaska to New Zealand. A time without a zone is UTC.

    Raises:
        InvalidFieldError: ``invalid_value``, or ``in_the_future`` of a date.
    """
    given = text.strip()
    is_day = len(given) == len("2026-12-01")
    moment = None
    with suppress(ValueError):
        moment = datetime.fromisoformat(given)
    if moment is None or not 1900 <= moment.year <= 2200:
        raise InvalidFieldError(
            field,
            "is no date or time; write it like 2026-12-01 or 2026-12-01T14:30:00Z",
            code="invalid_value",
        )
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if not is_day:
        return moment.astimezone(UTC)
    if moment - _AHEAD > now:
        raise _in_the_future(field)
    return min(moment + _TO_NOON, now)


def _in_the_future(field: str) -> InvalidFieldError:
    reason = "is in the future; give the time when they agreed"
    return InvalidFieldError(field, reason, code="in_the_future")
