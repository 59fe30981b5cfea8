"""Settings > Activity: everyone's work in the background, and how far it is."""

from datetime import datetime
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.pages.jobs import KIND_WORDS
from api.pages.page import PageDep
from api.paging import Cursor, Cursors, FilterQuery
from domain.statuses import JobState

router = APIRouter()

STATE_LOOKS = {
    JobState.RECEIVING: ("Being uploaded", "blue"),
    JobState.QUEUED: ("About to begin", "blue"),
    JobState.RUNNING: ("Working", "blue"),
    JobState.CANCELING: ("Stopping", "orange"),
    JobState.DONE: ("Done", "green"),
    JobState.CANCELED: ("Cancelled", "grey"),
    JobState.FAILED: ("Could not go on", "red"),
}
"""The words of a job's state and the colour of its badge."""

_SORT = "-created_at"
_CURSORS = Cursors("jobs", {"created_at": datetime})
_ROWS = 50


class ActivityQuery(FilterQuery):
    """What the address says: only one's own, only what goes on."""

    mine: bool = False
    running: bool = False
    cursor: Cursor = None

    def address(self, path: str, **changes: object) -> str:
        """Write the address of the first page with something changed."""
        found = {**self.model_dump(exclude_defaults=True, exclude={"cursor"}), **changes}
        told = {name: "true" if value is True else value for name, value in found.items() if value}
        return f"{path}?{urlencode(told)}" if told else path


@router.get("/settings/activity")
async def show_activity(page: PageDep, query: Annotated[ActivityQuery, Query()]) -> Response:
    """Show jobs, the newest first; asked again for how far they are."""
    found = await page.services.jobs.find(
        user_id=page.user.id if query.mine else None,
        states=[state for state in JobState if not state.is_final] if query.running else (),
        after=_CURSORS.read(query.cursor, _SORT),
        limit=_ROWS,
    )
    path = page.request.url.path
    following = _CURSORS.write(found.next, _SORT)
    return page.render(
        "settings/activity.html",
        part="settings/_jobs.html",
        jobs=found.items,
        query=query,
        chips=[
            ("Everyone's", query.address(path, mine=False), not query.mine),
            ("Mine", query.address(path, mine=True), query.mine),
            ("Going on now", query.address(path, running=not query.running), query.running),
        ],
        self_address=query.address(path, cursor=query.cursor),
        following=query.address(path, cursor=following) if following else None,
        first=query.address(path) if query.cursor else None,
        kind_words=KIND_WORDS,
        state_looks=STATE_LOOKS,
    )
