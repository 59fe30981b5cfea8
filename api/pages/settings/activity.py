"""Settings > Activity: everyone's work in the background, and how far it is."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.pages.addresses import Addresses, PlaceQuery
from api.pages.jobs import KIND_WORDS
from api.pages.page import PageDep
from api.paging import Cursors
from domain.statuses.jobs import JobState
from services.maintenance.sweep import UPLOAD_ABANDONED

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

UNCONFIRMED_LOOK = ("Waiting for confirmation", "grey")
"""Of an upload that somebody has only looked at."""

_SORT = "-created_at"
_CURSORS = Cursors("jobs", {"created_at": datetime})
_ROWS = 50


class ActivityQuery(PlaceQuery):
    """What the address says: only one's own, only what goes on."""

    mine: bool = False
    running: bool = False


@router.get("/settings/activity")
async def show_activity(page: PageDep, query: Annotated[ActivityQuery, Query()]) -> Response:
    """Show jobs, the newest first; asked again for how far they are."""
    found = await page.services.jobs.find(
        user_id=page.user.id if query.mine else None,
        states=[state for state in JobState if not state.is_final] if query.running else (),
        after=_CURSORS.read(query.cursor, _SORT),
        limit=_ROWS,
    )
    address = Addresses(page.request.url.path, query)
    return page.render(
        "settings/activity.html",
        part="settings/_jobs.html",
        jobs=found.items,
        chips=[
            ("All", address.of(mine=None), not query.mine),
            ("Mine", address.of(mine="true"), query.mine),
            ("Going on now", address.of(running=None if query.running else "true"), query.running),
        ],
        address=address,
        following=address.following(_CURSORS.write(found.next, _SORT)),
        kind_words=KIND_WORDS,
        look_of=lambda job: UNCONFIRMED_LOOK if job.awaits_confirmation else STATE_LOOKS[job.state],
        kept_minutes=UPLOAD_ABANDONED // timedelta(minutes=1),
    )
