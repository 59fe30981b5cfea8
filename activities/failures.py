"""Keeps numbers, names and texts out of failures: only our own codes reach a history."""

import logging
from typing import Any

from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

_logger = logging.getLogger(__name__)

OUR_FAILURES = frozenset({"late", "outcome_unknown"})
"""Types of the failures that our activities raise on purpose, with texts of our own."""


class PlainFailures(Interceptor):
    """Replaces every failure that is not ours by its class's name.

    Provider and database errors carry numbers and texts in their messages and in their causes.
    """

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """Wrap an activity."""
        return _PlainActivityFailures(super().intercept_activity(next))


class _PlainActivityFailures(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002, ANN401
        try:
            return await super().execute_activity(input)
        except ApplicationError as error:
            if error.type in OUR_FAILURES:
                raise error from None
            raise _plain(error) from None
        except Exception as error:
            _logger.exception("activity failed", extra={"activity": activity.info().activity_type})
            raise _plain(error) from None


def _plain(error: Exception) -> ApplicationError:
    """A failure that names only the class of what happened."""
    return ApplicationError(f"unexpected {type(error).__name__}", type=type(error).__name__)
