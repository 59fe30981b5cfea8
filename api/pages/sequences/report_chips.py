"""The filters of a Contacts tab that numbers of a report lead to, in words."""

from collections.abc import Iterator
from collections.abc import Sequence as Many
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from api.pages.addresses import Addresses
from api.pages.figures import hour_words
from api.pages.labels import LABELS
from api.pages.page import Page
from api.schemas.enrollments import EnrollmentFilter
from domain.enrollments.faults import Fault
from domain.statuses.enrollments import StepOutcome
from services.jobs.report_export import WEEKDAYS


class Chip(NamedTuple):
    """A filter: its words, its parameters, and the address without it, with what that does."""

    words: str
    fields: list[tuple[str, object]]
    without: str
    undoes: str


async def report_chips(page: Page, query: EnrollmentFilter, address: Addresses) -> list[Chip]:
    """Build the chips of a query."""
    shown = address.query.as_parameters()
    chips = []
    for words, names, undoes in _told(page, query):
        fields = [(name, value) for name in names for value in _each(shown.get(name))]
        chips.append(Chip(words, fields, address.of(**dict.fromkeys(names)), undoes))
    if query.sender:
        known = dict(await page.sender_options())
        senders = ", ".join(known.get(str(one), "a former sender") for one in query.sender)
        told, undoes = f"Texted from {senders}", "Show every sender again"
        chips.append(_of_ids(address, "sender", query.sender, told, undoes))
    if query.answered_by:
        users = await page.services.users.names_of(query.answered_by)
        told = f"Answered by {', '.join(users.values()) or 'nobody'}"
        undoes = "Show replies that others answered too"
        chips.append(_of_ids(address, "answered_by", query.answered_by, told, undoes))
    return chips


def _of_ids(address: Addresses, name: str, ids: Many[UUID], words: str, undoes: str) -> Chip:
    return Chip(words, [(name, one) for one in ids], address.of(**{name: None}), undoes)


def _each(value: object) -> list[object]:
    return [] if value is None else [value]


def _told(page: Page, query: EnrollmentFilter) -> Iterator[tuple[str, tuple[str, ...], str]]:
    """Tell each filter in words, with its parameters and what taking it back does."""
    if query.outcome is not None:
        names = ("outcome", "outcome_step", "outcome_code")
        yield _outcome(query, query.outcome), names, "Show every outcome again"
    if query.enrolled_from or query.enrolled_until:
        when = ("enrolled_from", "enrolled_until")
        yield _enrolled(page, query), when, "Show everyone enrolled at other times too"
    if query.replied_hour is not None:
        day, hour = divmod(query.replied_hour, 24)
        words = f"First reply on {WEEKDAYS[day]} at {hour_words(page, hour)}"
        yield words, ("replied_hour", "replied_zone"), "Show replies at other times too"
    if query.answered:
        yield "Reply answered", ("answered",), "Show replies without an answer too"


def _outcome(query: EnrollmentFilter, outcome: StepOutcome) -> str:
    where = "Any step" if query.outcome_step is None else f"Step {query.outcome_step}"
    words = f"{where}: {LABELS.step_outcomes[outcome]}"
    if query.outcome_code is None:
        return words
    fault = Fault.of(query.outcome_code or None, failed=True)
    return f"{words} ({fault.meaning})" if fault else words


def _enrolled(page: Page, query: EnrollmentFilter) -> str:
    first = last = ""
    if query.enrolled_from:
        first = page.clock.date_of(query.enrolled_from)
    if query.enrolled_until:
        last = page.clock.date_of(query.enrolled_until - timedelta(milliseconds=1))
    if first == last:
        return f"Enrolled on {first}"
    return f"Enrolled{first and f' from {first}'}{last and f' until {last}'}"
