"""Settings > Activity: everyone's background jobs and their progress."""

from datetime import timedelta
from functools import partial

from fastapi import APIRouter
from starlette.responses import Response

from api.jobs import JOB_CURSORS
from api.pages.addresses import PlaceQuery, listed
from api.pages.page import PageDep
from api.paging import InQuery
from domain.statuses.jobs import JobState
from services.maintenance.sweep import UPLOAD_ABANDONED

router = APIRouter()

STATE_TONES = {
    **dict.fromkeys(JobState, "blue"),
    JobState.CANCELING: "orange",
    JobState.DONE: "green",
    JobState.CANCELED: "grey",
    JobState.FAILED: "red",
}
"""Badge tones by the state of a job."""


class ActivityQuery(PlaceQuery):
    """Query of the list: only one's own jobs, only running ones."""

    mine: bool = False
    running: bool = False


@router.get("/settings/activity")
async def show_activity(page: PageDep, query: InQuery[ActivityQuery]) -> Response:
    """Show jobs, newest first; the page asks again for their progress."""
    find = partial(
        page.services.jobs.find,
        user_id=page.user.id if query.mine else None,
        states=[state for state in JobState if not state.is_final] if query.running else (),
    )
    jobs, address = await listed(page.request.url.path, query, JOB_CURSORS, find)
    return page.render(
        "settings/activity.html",
        part="settings/_jobs.html",
        jobs=jobs,
        chips=[
            ("All", address.of(mine=None), not query.mine),
            ("Mine", address.of(mine="true"), query.mine),
            ("In progress", address.of(running=None if query.running else "true"), query.running),
        ],
        address=address,
        state_tones=STATE_TONES,
        kept_minutes=UPLOAD_ABANDONED // timedelta(minutes=1),
    )
