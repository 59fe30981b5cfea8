"""Magic numbers: the recipient's number decides what happens to a text.

A number of any area code that ends in ``5557NNN`` (``+1 415 555 7NNN``) behaves as the scenario
NNN of ``SCENARIOS``, which the handset page lists; any other is a mobile that gets its texts.
Twilio's own test numbers (https://www.twilio.com/docs/iam/test-credentials, 2026-11) answer as at
Twilio.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

MAGIC_PREFIX = "5557"
"""The digits before the last three of a magic number."""

HANG = timedelta(seconds=75)
"""How long an unanswered create stays open; longer than any client waits."""

REPLY_DELAY = timedelta(seconds=1)
"""From the first text's last status to the handset's answer."""


class FaultKind(StrEnum):
    """How a create fails over HTTP."""

    ERROR = "error"
    HTML = "html"
    HANG = "hang"
    DROP = "drop"


class Reporting(StrEnum):
    """How status callbacks are sent."""

    ON = "on"
    OFF = "off"
    DOUBLED = "doubled"
    SHUFFLED = "shuffled"


@dataclass(frozen=True)
class Fault:
    """A fault of a create.

    Attributes:
        code: Twilio's error code, for ``error``.
        status: HTTP status, for ``html``.
        creates: Whether the message is created all the same.
        calls: How many first calls to the number fail; None for all.
    """

    kind: FaultKind
    code: int = 20500
    status: int = 502
    creates: bool = False
    calls: int | None = None


@dataclass(frozen=True)
class Move:
    """One change of a message's status."""

    status: str
    error_code: int | None = None


@dataclass(frozen=True)
class LineType:
    """The answer of Lookup: a type, an error inside a 200, or an invalid number."""

    name: str | None = "mobile"
    error_code: int | None = None
    valid: bool = True


Fate = tuple[Move, ...]
DELIVERED: Fate = (Move("sent"), Move("delivered"))


def _undelivered(code: int) -> Fate:
    return (Move("sent"), Move("undelivered", code))


def failed(code: int) -> Fate:
    """Return the statuses of a message that never leaves Twilio."""
    return (Move("failed", code),)


@dataclass(frozen=True)
class Scenario:
    """The behavior of one magic number.

    Attributes:
        suffix: Its last three digits.
        fate: The statuses after creation; ``first_fate`` those of the first message.
        reporting: Overrides how callbacks are sent.
        reports_first: Whether all callbacks are sent before the answer.
        reply: The handset's answer to its first text.
    """

    suffix: str
    title: str
    fault: Fault | None = None
    fate: Fate = DELIVERED
    first_fate: Fate | None = None
    reporting: Reporting | None = None
    reports_first: bool = False
    answer_delay: timedelta = timedelta()
    reply: str | None = None
    line_type: LineType = LineType()

    def fault_of_call(self, call: int) -> Fault | None:
        """Return the fault of a call by its number, counted from 1."""
        if self.fault is None or (self.fault.calls is not None and call > self.fault.calls):
            return None
        return self.fault

    def fate_of_message(self, count: int) -> Fate:
        """Return the statuses of a message by its number, counted from 1."""
        if count == 1 and self.first_fate is not None:
            return self.first_fate
        return self.fate


def _rejected(suffix: str, code: int, title: str, calls: int | None = None) -> Scenario:
    return Scenario(suffix, title, fault=Fault(FaultKind.ERROR, code, calls=calls))


ORDINARY = Scenario("", "a mobile that gets its texts")

SCENARIOS: tuple[Scenario, ...] = (
    Scenario("001", "First text fails with 30001 (queue overflow)", first_fate=failed(30001)),
    Scenario("003", "Undelivered, 30003 (handset unreachable)", fate=_undelivered(30003)),
    Scenario("004", "Undelivered, 30004 (blocked)", fate=_undelivered(30004)),
    Scenario("005", "Undelivered, 30005 (unknown number)", fate=_undelivered(30005)),
    Scenario(
        "006",
        "Landline: undelivered, 30006",
        fate=_undelivered(30006),
        line_type=LineType("landline"),
    ),
    Scenario("007", "Failed, 30007 (filtered)", fate=failed(30007)),
    Scenario("008", "Undelivered, 30008 (unknown error)", fate=_undelivered(30008)),
    Scenario("017", "Failed, 30017 (carrier congestion)", fate=failed(30017)),
    Scenario("034", "Undelivered, 30034 (unregistered sender)", fate=_undelivered(30034)),
    Scenario("036", "Failed, 30036 (validity period expired)", fate=failed(30036)),
    Scenario("610", "Accepted, then failed with 21610 (opted out)", fate=failed(21610)),
    Scenario("201", "All reports arrive before the answer", reports_first=True),
    Scenario("202", "Every report comes twice", reporting=Reporting.DOUBLED),
    Scenario("203", "Reports come in another order", reporting=Reporting.SHUFFLED),
    Scenario("204", "'sent' is the last word", fate=(Move("sent"),)),
    Scenario("205", "No reports at all", reporting=Reporting.OFF),
    Scenario("300", "The answer takes 3 s", answer_delay=timedelta(seconds=3)),
    _rejected("401", 20003, "Every create answered 401 (20003)"),
    _rejected("408", 21408, "Every create answered 400 (21408, region)"),
    _rejected("429", 20429, "First 3 creates answered 429", calls=3),
    _rejected("500", 20500, "Answered 500, nothing created"),
    Scenario("501", "Answered 500, but created", fault=Fault(FaultKind.ERROR, 20500, creates=True)),
    Scenario("502", "Answered 502 (HTML), nothing created", fault=Fault(FaultKind.HTML)),
    Scenario("503", "Answered 502 (HTML), but created", fault=Fault(FaultKind.HTML, creates=True)),
    Scenario("504", "Created, never answered", fault=Fault(FaultKind.HANG, creates=True)),
    Scenario("505", "Never answered, nothing created", fault=Fault(FaultKind.HANG)),
    Scenario("506", "Created, connection dropped", fault=Fault(FaultKind.DROP, creates=True)),
    Scenario("507", "Connection dropped, nothing created", fault=Fault(FaultKind.DROP)),
    _rejected("614", 21614, "Every create answered 400 (21614, not a mobile)"),
    _rejected("635", 21635, "Every create answered 400 (21635, landline)"),
    Scenario("700", "Answers 'Sure!' to its first text", reply="Sure!"),
    Scenario("701", "Answers 'STOP' to its first text", reply="STOP"),
    Scenario("702", "Answers 'Please stop texting me'", reply="Please stop texting me"),
    Scenario("801", "Lookup: fixedVoip", line_type=LineType("fixedVoip")),
    Scenario("802", "Lookup: unknown", line_type=LineType("unknown")),
    Scenario("803", "Lookup: error 60601 in a 200", line_type=LineType(None, 60601)),
    Scenario("804", "Lookup: not a valid number", line_type=LineType(None, valid=False)),
)

_BY_SUFFIX = {MAGIC_PREFIX + scenario.suffix: scenario for scenario in SCENARIOS}

TEST_RECIPIENTS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
"""Twilio's test recipients and the codes they are refused with."""

TEST_SENDERS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}
"""Twilio's test senders and the codes they are refused with."""


def scenario_of(number: str) -> Scenario:
    """Return the behavior of a recipient's number."""
    return _BY_SUFFIX.get(number[-7:], ORDINARY)
