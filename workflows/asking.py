"""Ask a row what is next without growing the history during a database outage."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError, is_cancelled_exception

from activities.sending import SendingActivities
from domain.statuses.enrollment_state import EnrollmentState
from workflows.limits import ASK_AT_ONCE

_Request = TypeVar("_Request")


async def ask_at_once(
    ask: Callable[[SendingActivities, _Request], Awaitable[EnrollmentState]],
    request: _Request,
    summary: str,
) -> EnrollmentState | None:
    """Ask by a local activity; None if there was no answer: ask again by a regular activity."""
    try:
        return await workflow.execute_local_activity_method(
            ask, request, **ASK_AT_ONCE, summary=summary
        )
    except FailureError as error:  # a local activity's failure is raised unwrapped
        if is_cancelled_exception(error):
            raise
        return None
