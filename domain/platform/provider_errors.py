"""The provider's error codes: what each means, and what it does to a text and its sender.

One reviewed table. Sources: Twilio's error dictionary (twilio.com/docs/api/errors, read November
2026) and, where that says nothing about texts, our own judgement. Twilio asks not to decide by
codes it may still change, so a code that is not here falls back to something safe.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from zoneinfo import ZoneInfo


class Effect(StrEnum):
    """What an error does.

    ``landline``: the number cannot take texts. ``permanent``: the text failed for good.
    ``transient``: the same text again, later. ``hold_sender``: nobody can send from this sender
    until an operator acts. ``hold_enrollment``: this text waits until an operator acts.
    ``opted_out``: the number does not want texts. ``unknown``: the text may or may not be on its
    way; settle that first.
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
    their daily counts. ``next_window``: until the send window allows it, which the caller works
    out.
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
        effect: What it does.
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
            raise ValueError(f"{self.code}: transient errors have a wait, others have none")


RESET_ZONE = "America/Los_Angeles"
"""Where the day of T-Mobile's daily caps ends (Twilio, error 30027)."""

_THROTTLED_FIRST = timedelta(seconds=2)
_SHORT_FIRST = timedelta(minutes=1)
_SHORT_MOST = timedelta(hours=1)
_FIXED_WAITS = {Wait.MINUTES_30: timedelta(minutes=30), Wait.HOURS: timedelta(hours=4)}

_PROBE_WAITS = [timedelta(seconds=seconds) for seconds in (10, 30, 60, 120)]

_PERMANENT, _TRANSIENT, _UNKNOWN = Effect.PERMANENT, Effect.TRANSIENT, Effect.UNKNOWN
_SENDER, _ENROLLMENT = Effect.HOLD_SENDER, Effect.HOLD_ENROLLMENT

_FIX_NUMBER = "Correct the contact's number."
_FIX_STEP = "Correct the step's text or media."
_FIX_SENDER = "Choose or repair the sender in Twilio, then release it."
_FIX_SERVICE = "Put a working number into the Messaging Service, then release the sender."
_FIX_10DLC = "Finish the number's A2P 10DLC registration in Twilio, then release the sender."
_FIX_ACCOUNT = "Settle the account's state with Twilio, then release the sender."
_FIX_ENDPOINT = "Look at the application's own log for that time."
_NOT_SMS = "Check that the sender is a plain SMS number."

_ROWS = (
    # The API itself
    ProviderError(
        20003,
        "The provider did not accept our credentials.",
        _SENDER,
        remedy="Correct the account SID and auth token, then release the sender.",
    ),
    ProviderError(
        20429, "The provider was asked too much at once.", _TRANSIENT, wait=Wait.THROTTLED
    ),
    ProviderError(20500, "The provider had an internal error.", _UNKNOWN),
    ProviderError(20503, "The provider was not available.", _UNKNOWN),
    # Refused when handed over
    ProviderError(21211, "The phone number is not valid.", _PERMANENT, remedy=_FIX_NUMBER),
    ProviderError(21212, "The sender's number is not valid.", _SENDER, remedy=_FIX_SENDER),
    ProviderError(21214, "The phone number cannot be reached.", _PERMANENT, remedy=_FIX_NUMBER),
    ProviderError(21217, "The phone number does not look valid.", _PERMANENT, remedy=_FIX_NUMBER),
    ProviderError(
        21265,
        "The phone number is a short code, which takes no texts from us.",
        _PERMANENT,
        remedy=_FIX_NUMBER,
    ),
    ProviderError(
        21266,
        "The phone number is the sender's own.",
        _PERMANENT,
        remedy=_FIX_NUMBER,
    ),
    ProviderError(
        21408,
        "The account is not allowed to text this country.",
        _ENROLLMENT,
        remedy="Allow the country under Messaging geo permissions in Twilio, then release.",
    ),
    ProviderError(
        21601,
        "The sender's number cannot send texts.",
        _SENDER,
        remedy=_FIX_SENDER,
    ),
    ProviderError(21602, "The text was empty.", _PERMANENT, remedy=_FIX_STEP),
    ProviderError(21603, "The text had no sender.", _SENDER, remedy=_FIX_SENDER),
    ProviderError(
        21606,
        "The sender's number is not ours or cannot text this destination.",
        _SENDER,
        remedy=_FIX_SENDER,
    ),
    ProviderError(
        21608,
        "The account is on trial or unapproved and may only text verified numbers.",
        _ENROLLMENT,
        remedy="Upgrade the account or get its compliance profile approved, then release.",
    ),
    ProviderError(
        21609,
        "The address for delivery reports is not valid.",
        _SENDER,
        remedy="Correct the public base URL of this installation, then release the sender.",
    ),
    ProviderError(21610, "The contact opted out of texts.", Effect.OPTED_OUT),
    ProviderError(
        21611,
        "The sender's queue at the provider is full.",
        _TRANSIENT,
        wait=Wait.MINUTES_30,
        remedy="Lower the sender's segments per second to what the provider grants it.",
    ),
    ProviderError(
        21612,
        "The sender cannot text this number.",
        _PERMANENT,
        remedy="Use a sender that serves the contact's country.",
    ),
    ProviderError(21614, "The number is a landline or cannot take texts.", Effect.LANDLINE),
    ProviderError(
        21617,
        "The text is longer than 1,600 characters.",
        _PERMANENT,
        remedy=_FIX_STEP,
    ),
    ProviderError(21619, "The text had neither words nor media.", _PERMANENT, remedy=_FIX_STEP),
    ProviderError(21635, "The number is a landline.", Effect.LANDLINE),
    ProviderError(
        21703,
        "The Messaging Service has no number that can send this.",
        _SENDER,
        remedy=_FIX_SERVICE,
    ),
    ProviderError(21704, "The Messaging Service has no numbers.", _SENDER, remedy=_FIX_SERVICE),
    ProviderError(21705, "The Messaging Service is not valid.", _SENDER, remedy=_FIX_SENDER),
    ProviderError(
        21711,
        "The sender's number is not in the Messaging Service.",
        _SENDER,
        remedy=_FIX_SERVICE,
    ),
    # Reported later
    ProviderError(
        30001,
        "The sender's queue at the provider overflowed.",
        _TRANSIENT,
        wait=Wait.MINUTES_30,
        remedy="Lower the sender's segments per second to what the provider grants it.",
    ),
    ProviderError(30002, "The provider suspended the account.", _SENDER, remedy=_FIX_ACCOUNT),
    ProviderError(
        30003,
        "The phone is switched off, out of reach or cannot take texts.",
        _TRANSIENT,
        wait=Wait.HOURS,
    ),
    ProviderError(30004, "The carrier or the phone blocks our texts.", _PERMANENT),
    ProviderError(
        30005,
        "The number is unknown or no longer in use.",
        _PERMANENT,
        remedy=_FIX_NUMBER,
    ),
    ProviderError(
        30006, "The number is a landline or its carrier takes no texts.", Effect.LANDLINE
    ),
    ProviderError(
        30007,
        "The provider or a carrier filtered the text out as unwanted.",
        _PERMANENT,
        remedy="Reword the text and check the sender's registration.",
    ),
    ProviderError(
        30008,
        "The carrier gave no reason for the failure; the text may have arrived.",
        _PERMANENT,
    ),
    ProviderError(30017, "The carrier's network is congested.", _TRANSIENT, wait=Wait.MINUTES_30),
    ProviderError(
        30022,
        "The carriers' rate for the sender's campaign was exceeded.",
        _TRANSIENT,
        wait=Wait.SHORT,
        remedy="Lower the sender's segments per second to what the campaign grants it.",
    ),
    ProviderError(
        30023,
        "The sender reached the carrier's limit for the day.",
        _TRANSIENT,
        wait=Wait.PACIFIC_MIDNIGHT,
    ),
    ProviderError(
        30027,
        "The sender reached T-Mobile's limit for the day.",
        _TRANSIENT,
        wait=Wait.PACIFIC_MIDNIGHT,
    ),
    ProviderError(
        30032,
        "The sender's toll-free number is not verified.",
        _SENDER,
        remedy="Finish the toll-free verification in Twilio, then release the sender.",
    ),
    ProviderError(
        30033,
        "The carriers suspended the sender's campaign.",
        _SENDER,
        remedy=_FIX_10DLC,
    ),
    ProviderError(
        30034,
        "The sender's number is not registered with the carriers.",
        _SENDER,
        remedy=_FIX_10DLC,
    ),
    ProviderError(
        30035,
        "The sender's number is still being set up with the carriers.",
        _SENDER,
        remedy="Wait until Twilio shows the number as registered, then release the sender.",
    ),
    ProviderError(
        30036,
        "The text could not be sent before its time ran out.",
        _TRANSIENT,
        wait=Wait.NEXT_WINDOW,
    ),
    ProviderError(
        30037,
        "The provider switched off sending for the account.",
        _SENDER,
        remedy=_FIX_ACCOUNT,
    ),
    ProviderError(
        30038, "The provider kept back a text because it looked like a password.", _PERMANENT
    ),
    ProviderError(
        30039, "The provider kept back a text because a machine seemed to answer.", _PERMANENT
    ),
    ProviderError(
        30047,
        "The provider could not move the text out of the quiet hours.",
        _TRANSIENT,
        wait=Wait.MINUTES_30,
    ),
    ProviderError(
        30410,
        "The carrier did not answer in time; the text may have arrived.",
        _PERMANENT,
    ),
    ProviderError(
        30450,
        "The provider blocks this destination for a while because of suspected fraud.",
        _TRANSIENT,
        wait=Wait.MINUTES_30,
    ),
    ProviderError(
        30454,
        "The account reached its limit of texts for a day.",
        _SENDER,
        remedy="Wait a day or raise the limit in Twilio; the sender is tried again by itself.",
    ),
    ProviderError(
        30610,
        "The provider holds texts back during the quiet hours.",
        _TRANSIENT,
        wait=Wait.NEXT_WINDOW,
    ),
    ProviderError(30640, "The provider lists the number's owner as someone who sues.", _PERMANENT),
    # Other channels
    ProviderError(
        63003, "The number cannot be found on this channel.", _PERMANENT, remedy=_NOT_SMS
    ),
    ProviderError(
        63016,
        "The channel allows free text only shortly after the contact wrote.",
        _PERMANENT,
        remedy=_NOT_SMS,
    ),
    ProviderError(
        63017, "The account sends faster than the provider allows.", _TRANSIENT, wait=Wait.SHORT
    ),
    ProviderError(
        63018, "The sender sends faster than its channel allows.", _TRANSIENT, wait=Wait.SHORT
    ),
    ProviderError(
        63024, "The recipient is not valid on this channel.", _PERMANENT, remedy=_NOT_SMS
    ),
    ProviderError(
        63036, "The phone cannot be reached on this channel.", _PERMANENT, remedy=_NOT_SMS
    ),
    ProviderError(
        63038,
        "The account reached its limit of texts for a day.",
        _SENDER,
        remedy="Wait a day or raise the limit in Twilio; the sender is tried again by itself.",
    ),
    # Replies, webhooks and scheduling, which a text of ours should never meet
    ProviderError(
        11200,
        "The provider could not fetch our answer.",
        _PERMANENT,
        remedy=_FIX_ENDPOINT,
    ),
    ProviderError(
        11205,
        "The provider could not connect to us.",
        _PERMANENT,
        remedy=_FIX_ENDPOINT,
    ),
    ProviderError(
        12100,
        "The provider could not read our answer.",
        _PERMANENT,
        remedy=_FIX_ENDPOINT,
    ),
    ProviderError(
        12300,
        "Our answer had a type the provider does not take.",
        _PERMANENT,
        remedy=_FIX_ENDPOINT,
    ),
    ProviderError(
        14107,
        "Too many texts went between the two numbers within seconds.",
        _TRANSIENT,
        wait=Wait.THROTTLED,
    ),
    ProviderError(
        15003,
        "Our answer to the provider came with a warning.",
        _PERMANENT,
        remedy=_FIX_ENDPOINT,
    ),
    ProviderError(35111, "The text was to be scheduled without a time.", _PERMANENT),
    ProviderError(35114, "The text was scheduled for a time that is none.", _PERMANENT),
    ProviderError(35115, "The text was scheduled too early or too late.", _PERMANENT),
    ProviderError(35118, "Only a Messaging Service can schedule texts.", _PERMANENT),
    ProviderError(35125, "The account has too many scheduled texts.", _PERMANENT),
)

TABLE: Mapping[int, ProviderError] = MappingProxyType({row.code: row for row in _ROWS})
"""Every code we know, by its number."""

_TOLL_FREE_OPT_OUT = replace(
    TABLE[30004],
    meaning="The contact opted out of texts from our toll-free number.",
    effect=Effect.OPTED_OUT,
)

_FAILURES = frozenset({"failed", "undelivered", "canceled"})
_ACCESS_STATUSES = frozenset({401, 403, 404, 407})
_UNSETTLED_STATUSES = frozenset({408})


def explain(code: int | None) -> str:
    """Put a code into one plain sentence.

    Args:
        code: The provider's, known or not, or an HTTP status; None or 0 if there was none.
    """
    if not code:
        return "The provider reported an error without a code."
    if code in TABLE:
        return TABLE[code].meaning
    if 100 <= code < 600:
        return f"The provider answered with an error it does not explain (HTTP {code})."
    return f"The provider reported an error it does not explain (code {code})."


def classify_answer(http_status: int, code: int | None) -> ProviderError:
    """Read the provider's answer to a call that did not create a message.

    Args:
        http_status: Of the answer. 429 is never processed and safe to repeat; below 400, 408 and
            5xx say nothing about whether the message was created (Twilio, error 20500).
        code: From the answer's body, if there was one.
    """
    row = TABLE.get(code) if code else None
    if http_status == 429:
        row = row if row is not None and row.effect is _TRANSIENT else TABLE[20429]
        return replace(row, wait=Wait.THROTTLED) if row.wait is Wait.SHORT else row
    if not 400 <= http_status < 500 or http_status in _UNSETTLED_STATUSES:
        if row is not None and row.effect is _UNKNOWN:
            return row
        return _unlisted(code or http_status, _UNKNOWN)
    if row is not None:
        return row
    if http_status in _ACCESS_STATUSES:
        return ProviderError(
            code or http_status,
            explain(code or http_status),
            _SENDER,
            remedy="Check the account, its credentials and the sender, then release the sender.",
        )
    return _unlisted(code or http_status, _PERMANENT)


def classify_report(
    status: str, code: int | None, *, toll_free_sender: bool
) -> ProviderError | None:
    """Read a status callback, or a message fetched from the provider.

    Args:
        status: The provider's word for where the message is.
        code: The error code that came with it.
        toll_free_sender: Whether the message went out from a toll-free number, whose network
            answers 30004 for those who texted it STOP.

    Returns:
        What went wrong; None if the status is no failure.
    """
    if status not in _FAILURES:
        return None
    if code == 30004 and toll_free_sender:
        return _TOLL_FREE_OPT_OUT
    row = TABLE.get(code) if code else None
    if row is None:
        if not code and status == "canceled":
            return ProviderError(0, "The provider canceled the text.", _PERMANENT)
        return _unlisted(code or 0, _PERMANENT)
    return replace(row, effect=_PERMANENT) if row.effect is _UNKNOWN else row


def retry_at(
    error: ProviderError,
    attempt: int,
    now: datetime,
    *,
    short: timedelta = _SHORT_FIRST,
    jitter: float = 0,
) -> datetime:
    """Tell when to try a text again; the same for the same arguments.

    Args:
        error: A transient one.
        attempt: How many attempts failed this way, this one included; from 1.
        now: When the error became known.
        short: The first short wait.
        jitter: From 0 to 1: how much of half its length is added to the wait of one that was
            throttled, so that a crowd does not come back as one.

    Returns:
        The moment, before the send window is looked at.

    Raises:
        ValueError: If the error is not transient.
    """
    doubled = 1 << (min(max(attempt, 1), 10) - 1)
    match error.wait:
        case None:
            raise ValueError(f"{error.code} is not transient")
        case Wait.THROTTLED:
            return now + min(_THROTTLED_FIRST * doubled, short) * (1 + jitter / 2)
        case Wait.SHORT | Wait.NEXT_WINDOW:  # the caller moves the latter into the window
            return now + min(short * doubled, _SHORT_MOST)
        case Wait.MINUTES_30 | Wait.HOURS:
            return now + _FIXED_WAITS[error.wait]
        case Wait.PACIFIC_MIDNIGHT:
            return next_midnight(now, RESET_ZONE)


def next_probe(held_at: datetime, now: datetime, *, every: timedelta) -> datetime:
    """Tell when to try a sender on hold next: soon at first, for most trouble passes soon.

    Args:
        held_at: Since when it is on hold.
        now: Now; the moment is later.
        every: The longest wait between two tries.
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
    """Find the first start of a day in a zone that is later than a moment.

    Args:
        moment: Any aware moment.
        zone: IANA name.
    """
    tz = ZoneInfo(zone)
    tomorrow = moment.astimezone(tz).date() + timedelta(days=1)
    return datetime.combine(tomorrow, time(0), tzinfo=tz).astimezone(UTC)
