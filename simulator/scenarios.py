"""Magic numbers: what happens to a text is decided by the number it is for.

A number of any area code that ends in ``5557NNN`` (``+1 415 555 7NNN``) behaves as follows; every
other number is a mobile that gets its texts.

====  ==========================================================================================
NNN   what happens
====  ==========================================================================================
001   the first text fails with 30001 (queue overflow), later ones are delivered
003   undelivered, 30003 (handset unreachable)
004   undelivered, 30004 (blocked)
005   undelivered, 30005 (unknown number)
006   landline: undelivered, 30006; Lookup says landline
007   failed, 30007 (filtered)
008   undelivered, 30008 (unknown error)
017   failed, 30017 (carrier congestion)
034   undelivered, 30034 (unregistered sender)
036   failed, 30036 (validity period expired)
610   accepted, then failed with 21610 (opted out, learned late)
201   all reports arrive before the create is answered
202   every report comes twice
203   reports come in another order
204   ``sent`` is the last word
205   no reports at all; the status is only to be fetched
300   the answer takes 3 s
401   every create is answered 401 (20003)
408   every create is answered 400 (21408, no permission for the region)
429   the first 3 creates are answered 429, later ones succeed
500   answered 500, nothing created
501   answered 500, but created and delivered
502   answered 502 with an HTML page, nothing created
503   answered 502 with an HTML page, but created and delivered
504   created and delivered, but never answered
505   never answered, nothing created
506   created and delivered, but the connection is dropped
507   the connection is dropped, nothing created
614   every create is answered 400 (21614, not a mobile number)
635   every create is answered 400 (21635, landline)
700   the handset answers "Sure!" a second after its first text
701   the handset answers "STOP" a second after its first text
702   the handset answers "Please stop texting me" a second after its first text
801   Lookup says fixedVoip; texts are delivered
802   Lookup says unknown; texts are delivered
803   Lookup answers 200 with error code 60601; texts are delivered
804   Lookup says the number is not valid; texts are delivered
====  ==========================================================================================

Twilio's own test numbers (https://www.twilio.com/docs/iam/test-credentials, 2026-11) answer as
there; see ``TEST_RECIPIENTS`` and ``TEST_SENDERS``.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

MAGIC_PREFIX = "5557"
"""What stands before the last three digits of a magic number."""

HANG = timedelta(seconds=75)
"""How long a create that is never answered is kept open; longer than any client waits."""

REPLY_DELAY = timedelta(seconds=1)
"""From the first text's last status to the handset's answer."""


class FaultKind(StrEnum):
    """How a create goes wrong over HTTP."""

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
    """A create that is not answered as it should be.

    Attributes:
        kind: What the caller sees.
        code: Twilio's error code, for ``error``.
        status: HTTP status, for ``html``.
        creates: Whether the message is created nevertheless.
        calls: Only so many first calls to the number go wrong; ``None``: all.
    """

    kind: FaultKind
    code: int = 20500
    status: int = 502
    creates: bool = False
    calls: int | None = None


@dataclass(frozen=True)
class Move:
    """One change of a message's status after its creation."""

    status: str
    error_code: int | None = None


@dataclass(frozen=True)
class LineType:
    """What Lookup says of a number: a type, an error inside a 200, or that it is not valid."""

    name: str | None = "mobile"
    error_code: int | None = None
    valid: bool = True


Fate = tuple[Move, ...]
DELIVERED: Fate = (Move("sent"), Move("delivered"))


def _undelivered(code: int) -> Fate:
    return (Move("sent"), Move("undelivered", code))


def failed(code: int) -> Fate:
    """Return the fate of a message that never leaves Twilio."""
    return (Move("failed", code),)


@dataclass(frozen=True)
class Scenario:
    """How one magic number behaves.

    Attributes:
        suffix: The last three digits.
        title: The behaviour in words.
        fault: What is wrong with the HTTP answer.
        fate: The statuses after creation.
        first_fate: As ``fate``, for the first message only.
        reporting: Overrules how callbacks are sent.
        reports_first: All callbacks are sent before the answer.
        answer_delay: How long the answer is kept back.
        reply: What the handset answers to its first text.
        line_type: What Lookup says.
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
        """Return what is wrong with the call of that number, counted from 1."""
        if self.fault is None or (self.fault.calls is not None and call > self.fault.calls):
            return None
        return self.fault

    def fate_of_message(self, count: int) -> Fate:
        """Return what happens to the message of that number, counted from 1."""
        if count == 1 and self.first_fate is not None:
            return self.first_fate
        return self.fate


def _rejected(suffix: str, code: int, title: str) -> Scenario:
    return Scenario(suffix, title, fault=Fault(FaultKind.ERROR, code))


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
    Scenario(
        "429",
        "First 3 creates answered 429",
        fault=Fault(FaultKind.ERROR, 20429, calls=3),
    ),
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
"""Twilio's test numbers in ``To`` and the code they are refused with."""

TEST_SENDERS = {
    "+15005550001": 21212,
    "+15005550007": 21606,
    "+15005550008": 21611,
}
"""Twilio's test numbers in ``From`` and the code they are refused with."""


def scenario_of(number: str) -> Scenario:
    """Return how a recipient's number behaves."""
    return _BY_SUFFIX.get(number[-7:], ORDINARY)
