"""The provider's error codes: what each means, and what it does to a text and its sender.

The table is ``provider_errors.toml``, with its sources. A code that is not in it falls back to
something safe.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo


class Effect(StrEnum):
    """What an error does.

    ``landline``: the number cannot take texts. ``permanent``: the text failed for good.
    ``transient``: the same text again, later. ``hold_sender``: nobody can send from this sender
    until an operator acts. ``hold_enrollment``: this text waits until an operator acts.
    ``opted_out``: the number does not want texts. ``unknown``: the text may or may not be on its
    way; reconcile it first.
    """

    LANDLINE = "landline"
    PERMANENT = "permanent"
    TRANSIENT = "transient"
    HOLD_SENDER = "hold_sender"
    HOLD_ENROLLMENT = "hold_enrollment"
    OPTED_OUT = "opted_out"
    UNKNOWN = "unknown"


class Wait(StrEnum):
    """How long to wait after a transient error.

    ``throttled``: two seconds, doubled each time, at most the first short wait; not counted, for
    the text is not at fault. ``short``: a minute, doubled with every attempt, at most an hour.
    ``minutes_30`` and ``hours`` (four): always the same. ``pacific_midnight``: until carriers reset
    their daily counts. ``next_window``: as ``short``; ``domain.messaging.deciding`` then waits for
    the send window, as before every text.
    """

    THROTTLED = "throttled"
    SHORT = "short"
    MINUTES_30 = "minutes_30"
    HOURS = "hours"
    PACIFIC_MIDNIGHT = "pacific_midnight"
    NEXT_WINDOW = "next_window"


@dataclass(frozen=True)
class ProviderError:
    """One row of the table.

    Attributes:
        code: The provider's; where an answer had none, its HTTP status, or 0.
        meaning: One plain sentence for people.
        wait: How long before the next attempt; set for transient errors only.
        remedy: What an operator does about it; empty if there is nothing to do.
    """

    code: int
    meaning: str
    effect: Effect
    wait: Wait | None = None
    remedy: str = ""

    def __post_init__(self) -> None:
        """Refuse a row whose wait does not go with its effect."""
        if (self.wait is not None) != (self.effect is Effect.TRANSIENT):
            raise ValueError("transient errors have a wait, others have none")


FILE = Path(__file__).with_name("provider_errors.toml")

RESET_ZONE = "America/Los_Angeles"
"""Where the day of T-Mobile's daily caps ends (Twilio, error 30027)."""

_THROTTLED_FIRST = timedelta(seconds=2)
_SHORT_FIRST = timedelta(minutes=1)
_SHORT_MOST = timedelta(hours=1)
_FIXED_WAITS = {Wait.MINUTES_30: timedelta(minutes=30), Wait.HOURS: timedelta(hours=4)}

_PROBE_WAITS = [timedelta(seconds=seconds) for seconds in (10, 30, 60, 120)]


class ErrorTableError(Exception):
    """The file of the provider's error codes is not as it has to be."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{FILE.name}: {reason}")


def parsed(text: str) -> Mapping[int, ProviderError]:
    """Read a table of error codes, as ``provider_errors.toml`` has it.

    Raises:
        ErrorTableError: It is no TOML, or a row of it is none.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ErrorTableError(f"no TOML: {error}") from None
    try:
        remedies: Mapping[str, str] = content["remedies"]
        rows: Mapping[str, object] = content["errors"]
    except KeyError as error:
        raise ErrorTableError(f"no table {error}") from None
    found = [_row(code, row, remedies) for code, row in rows.items()]
    return MappingProxyType({row.code: row for row in found})


def _row(code: str, row: object, remedies: Mapping[str, str]) -> ProviderError:
    if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
        raise ErrorTableError(f"{code}: no table of texts")
    if unknown := row.keys() - {"meaning", "effect", "wait", "remedy"}:
        raise ErrorTableError(f"{code}: unknown {', '.join(sorted(unknown))}")
    remedy = row.get("remedy", "")
    try:
        return ProviderError(
            int(code),
            row["meaning"],
            Effect(row["effect"]),
            wait=Wait(row["wait"]) if "wait" in row else None,
            remedy=remedies[remedy[1:-1]] if remedy.startswith("<") else remedy,
        )
    except KeyError as error:
        raise ErrorTableError(f"{code}: no {error}") from None
    except ValueError as error:
        raise ErrorTableError(f"{code}: {error}") from None


TABLE = parsed(FILE.read_text(encoding="utf-8"))
"""Every code we know, by its number."""

_TOLL_FREE_OPT_OUT = replace(
    TABLE[30004],
    meaning="The contact opted out of texts from our toll-free number.",
    effect=Effect.OPTED_OUT,
)

_FAILURES = frozenset({"failed", "undelivered", "canceled"})
_ACCESS_STATUSES = frozenset({401, 403, 404, 407})
_UNCLEAR_STATUSES = frozenset({408})


def explain(code: int | None) -> str:
    """Explain a code of the provider's, or an HTTP status, in one plain sentence."""
    if not code:
        return "The provider reported an error without a code."
    if code in TABLE:
        return TABLE[code].meaning
    if 100 <= code < 600:
        return f"The provider answered with an error it does not explain (HTTP {code})."
    return f"The provider reported an error it does not explain (code {code})."


def classify_answer(http_status: int, code: int | None) -> ProviderError:
    """Read the provider's answer to a call that did not create a message.

    429 is never processed and safe to repeat; below 400, 408 and 5xx say nothing about whether the
    message was created (Twilio, error 20500).
    """
    row = TABLE.get(code) if code else None
    if http_status == 429:
        row = row if row is not None and row.effect is Effect.TRANSIENT else TABLE[20429]
        return replace(row, wait=Wait.THROTTLED) if row.wait is Wait.SHORT else row
    if not 400 <= http_status < 500 or http_status in _UNCLEAR_STATUSES:
        if row is not None and row.effect is Effect.UNKNOWN:
            return row
        return _unlisted(code or http_status, Effect.UNKNOWN)
    if row is not None:
        return row
    if http_status in _ACCESS_STATUSES:
        return ProviderError(
            code or http_status,
            explain(code or http_status),
            Effect.HOLD_SENDER,
            remedy="Check the account, its credentials and the sender, then release the sender.",
        )
    return _unlisted(code or http_status, Effect.PERMANENT)


def classify_report(
    status: str, code: int | None, *, toll_free_sender: bool
) -> ProviderError | None:
    """Read a status callback, or a message fetched from the provider; None if it did not fail.

    The network of toll-free senders answers 30004 for those who texted it STOP.
    """
    if status not in _FAILURES:
        return None
    if code == 30004 and toll_free_sender:
        return _TOLL_FREE_OPT_OUT
    row = TABLE.get(code) if code else None
    if row is None:
        if not code and status == "canceled":
            return ProviderError(0, "The provider canceled the text.", Effect.PERMANENT)
        return _unlisted(code or 0, Effect.PERMANENT)
    return replace(row, effect=Effect.PERMANENT) if row.effect is Effect.UNKNOWN else row


def retry_at(
    error: ProviderError,
    attempt: int,
    now: datetime,
    *,
    short: timedelta = _SHORT_FIRST,
    jitter: float = 0,
) -> datetime:
    """Tell when to try a text again; the same for the same arguments.

    The send window is not looked at here. ``attempt`` is how many attempts failed this way, this
    one included. ``jitter``, from 0 to 1, is how much of half its length is added to the wait of
    one that was throttled, so that a crowd does not come back as one.

    Raises:
        ValueError: If the error is not transient.
    """
    doubled = 1 << (min(max(attempt, 1), 10) - 1)
    match error.wait:
        case None:
            raise ValueError(f"{error.code} is not transient")
        case Wait.THROTTLED:
            return now + min(_THROTTLED_FIRST * doubled, short) * (1 + jitter / 2)
        case Wait.SHORT | Wait.NEXT_WINDOW:  # ``decide`` keeps the text out of a closed window
            return now + min(short * doubled, _SHORT_MOST)
        case Wait.MINUTES_30 | Wait.HOURS:
            return now + _FIXED_WAITS[error.wait]
        case Wait.PACIFIC_MIDNIGHT:
            return next_midnight(now, RESET_ZONE)


def next_probe(held_at: datetime, now: datetime, *, every: timedelta) -> datetime:
    """Tell when to try a sender on hold next: soon at first, for most trouble passes soon.

    The moment is later than now; ``every`` is the longest wait between two tries.
    """
    at = held_at
    for wait in _PROBE_WAITS:
        at += min(wait, every)
        if at > now:
            return at
    return now + every


def _unlisted(code: int, effect: Effect) -> ProviderError:
    return ProviderError(code, explain(code), effect)


def next_midnight(moment: datetime, zone: str) -> datetime:
    """Find the first start of a day in an IANA zone that is later than a moment."""
    tz = ZoneInfo(zone)
    tomorrow = moment.astimezone(tz).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(0), tzinfo=tz).astimezone(UTC)
