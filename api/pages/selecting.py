"""Acting on the rows ticked in a list, or on all that match: whom it is about, and what it did."""

from collections.abc import Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.responses import Response

from api.pages.addresses import PlaceQuery
from api.pages.flash import Flash
from api.pages.forms import chosen_id
from api.pages.labels import LABELS
from api.pages.page import Page, PageEvent
from api.paging import FilterQuery
from domain.platform.errors import InvalidFieldError
from services.jobs.contact_actions import Whom, can_be_undone
from storage.jobs.jobs import JobDetails

NAMED = 3
"""How many of the people selected are named."""

_DONE = {"added", "removed", "assigned", "suppressed"}
_Filters = TypeVar("_Filters", bound=FilterQuery)


class SelectionQuery(PlaceQuery):
    """The rows to act on: those ticked, or with ``everyone`` all that the filters match."""

    everyone: bool = False

    def selected(self, filters: type[_Filters], ticked: str) -> _Filters:
        """Return the selection as filters of its list; ``ticked`` is the one that names rows.

        Raises:
            InvalidFieldError: Nobody is ticked.
        """
        given = self.filters()
        if self.everyone:
            others = type(self).model_fields.keys() - filters.model_fields.keys() | {ticked}
            return filters(**{name: given[name] for name in given.keys() - others})
        if ticked not in given:
            raise InvalidFieldError(ticked, "names no one; select someone first")
        return filters(**{ticked: given[ticked]})

    def as_query(self, filters: FilterQuery | None, **others: object) -> str:
        """Write the selection as a query: its filters, and what else it says."""
        given: dict[str, Any] = {"everyone": "true"} if self.everyone else {}
        given |= {name: str(value) for name, value in others.items() if value}
        return urlencode({**(filters.as_parameters() if filters else {}), **given}, doseq=True)


async def add_to_group(
    page: Page, wanted: Whom, group_id: str, new_group: str, *, at_most: int | None = None
) -> JobDetails:
    """Put contacts into the group that a form chose, or into the new one that it names."""
    return await page.services.contact_actions.add_to_group(
        wanted,
        page.user.id,
        group_id=chosen_id(group_id, field="group_id") if group_id else None,
        new_group=new_group,
        at_most=at_most,
    )


async def ask(
    page: Page,
    template: str,
    query: str,
    *,
    names: Sequence[str],
    adds: bool,
    **context: Any,  # noqa: ANN401 - as Page.part takes it
) -> Response:
    """Show the dialog of an act; ``adds`` tells whether it puts people into a group."""
    return page.part(
        template,
        action=f"{page.request.url.path}?{query}",
        names=names[:NAMED],
        group_options=await page.group_options() if adds else [],
        **context,
    )


def answer(page: Page, job: JobDetails, *, event: PageEvent) -> Response:
    """Say what a job has done, or show its progress in the dialog."""
    if job.state.is_final:
        return page.done(done_words(page, job), event=event)
    return page.part("jobs/_running.html", title=LABELS.jobs[job.kind], job=job)


def done_words(page: Page, job: JobDetails) -> Flash:
    """Say what a job has done, and offer to undo it where that is possible."""
    counts = sorted(job.counts.items(), key=lambda one: one[0] not in _DONE)
    words = ", ".join(f"{number:,} {LABELS.results[code]}" for code, number in counts)
    return Flash(
        f"{words or 'Nothing changed'}.",
        "success" if job.counts.keys() & _DONE else "info",
        undo=page.path_to("undo_job", job_id=job.id) if can_be_undone(job) else "",
        link=page.path_to("show_job", job_id=job.id),
        link_words="Details",
    )
