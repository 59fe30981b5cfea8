"""The timings of sending; set by the entry points, short in tests."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class SendingRules:
    """The time limits of the send path.

    Attributes:
        workspace_zone: IANA zone that decides where a number allows several.
        call_before: How long after its commit an attempt's call may still begin.
        call_margin: Time after that until no call can be under way unseen.
        absence_first_list: From ``call_before`` to the first list that may prove absence.
        absence_second_list: From the first list to the second.
        reconciliation_timeout: From the attempt to ``held: outcome_unknown``.
        probe_interval: Between two tries of a sender on hold.
        catch_up_every: Between two fetches of texts whose webhook never came.
        webhooks_first: Age below which a text is left to its webhook.
        look_up_after: Age at which a text without a final state is first looked up.
        retry_short: Base of the wait after a transient refusal.
        min_spacing: Most distance that two texts of one enrollment must have.
        look_up_line_types: Whether an unknown line type is looked up before the first text.
        max_attempts: Transient refusals, failures and proven absences of one text before it fails.
    """

    workspace_zone: str = "America/New_York"
    call_before: timedelta = timedelta(seconds=5)
    call_margin: timedelta = timedelta(seconds=1)
    absence_first_list: timedelta = timedelta(minutes=2)
    absence_second_list: timedelta = timedelta(seconds=60)
    reconciliation_timeout: timedelta = timedelta(hours=1)
    probe_interval: timedelta = timedelta(minutes=5)
    catch_up_every: timedelta = timedelta(minutes=5)
    webhooks_first: timedelta = timedelta(minutes=1)
    look_up_after: timedelta = timedelta(minutes=10)
    retry_short: timedelta = timedelta(minutes=1)
    min_spacing: timedelta = timedelta(hours=1)
    look_up_line_types: bool = False
    max_attempts: int = 5


EARLY_TOLERANCE = timedelta(milliseconds=250)
"""How early a timer may fire by another machine's clock."""


INBOUND_WAIT = timedelta(seconds=10)
"""How long a text waits while an inbound text from its number is not applied."""
