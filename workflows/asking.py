"""Ask a row what is next without growing the history during a database outage."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.sending import SendingActivities
from domain.statuses.enrollment_state import EnrollmentState
from workflows.limits import Limit

_Request = TypeVar("_Request")


async def ask_at_once(
    ask: Callable[[SendingActivities, _Request], Awaitable[EnrollmentState]],
    request: _Request,
    limit: Limit,
    summary: str,
) -> EnrollmentState | None:
    """Ask by a local activity, within its short limit.

    Returns:
        The answer; None if there was none: ask again by a regular activity.
    """
    try:
        return await workflow.execute_local_activity_method(
            ask,
            request,
            start_to_close_timeout=limit.start_to_close,
            schedule_to_close_timeout=limit.schedule_to_close,
            retry_policy=limit.retry,
            summary=summary,
        )
    except FailureError as error:  # a local activity's failure is raised unwrapped
        if is_cancelled_exception(error):
            raise
        return None
