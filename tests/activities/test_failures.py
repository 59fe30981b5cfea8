"""Failures that reach Temporal hold a class name or a code of ours, and nothing else."""

import asyncio
import traceback
from datetime import timedelta

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.failures import PlainFailures
from workflows.client import DATA_CONVERTER

SECRET = "+12125550187 Rosalind"


class Failing(ActivityInboundInterceptor):
    """An activity that fails with an error."""

    def __init__(self, error: BaseException, *, cause: Exception | None, context: bool) -> None:
        self._error = error
        self._cause = cause
        self._context = context

    async def execute_activity(self, input: ExecuteActivityInput) -> object:  # noqa: A002
        if self._context:
            try:
                raise ValueError(SECRET)  # noqa: TRY301 - as below
            except ValueError:
                raise self._error  # noqa: B904 - the implicit context is what is tested
        raise self._error from self._cause


async def failure_of(
    error: BaseException, *, cause: Exception | None = None, context: bool = False
) -> BaseException:
    failing = Failing(error, cause=cause, context=context)
    wrapped = PlainFailures().intercept_activity(failing)
    request = ExecuteActivityInput(lambda: None, [], None, {})
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any error
        await ActivityEnvironment().run(wrapped.execute_activity, request)
    return caught.value


def stored_failure(error: BaseException) -> Failure:
    """Convert an error to the failure that Temporal stores."""
    failure = Failure()
    DATA_CONVERTER.failure_converter.to_failure(error, DATA_CONVERTER.payload_converter, failure)
    return failure


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(SECRET),
        KeyError(SECRET),
        OSError(5, SECRET),
        ApplicationError(SECRET, SECRET, type="somebody_elses", non_retryable=True),
        ExceptionGroup(SECRET, [ValueError(SECRET)]),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_foreign_error_shows_only_its_class(error: Exception, *, context: bool) -> None:
    failed = await failure_of(error, cause=ValueError(SECRET), context=context)
    failure = stored_failure(failed)
    assert SECRET not in str(failure)
    assert failure.message == f"unexpected {type(error).__name__}"
    assert not failure.HasField("cause")
    assert not failure.application_failure_info.non_retryable


@pytest.mark.parametrize("context", [False, True])
async def test_own_error_loses_its_causes(*, context: bool) -> None:
    ours = ApplicationError(
        "needs reconciliation", type="outcome_unknown", next_retry_delay=timedelta(minutes=2)
    )
    failed = await failure_of(ours, cause=ValueError(SECRET), context=context)
    failure = stored_failure(failed)
    assert failed is ours
    assert SECRET not in str(failure)
    assert not failure.HasField("cause")
    assert failure.application_failure_info.next_retry_delay.seconds == 120


async def test_cancellation_is_not_wrapped() -> None:
    failed = await failure_of(asyncio.CancelledError())
    assert isinstance(failed, asyncio.CancelledError)


async def test_log_keeps_the_traceback(caplog: pytest.LogCaptureFixture) -> None:
    await failure_of(RuntimeError("broken"))
    [record] = caplog.records
    assert record.exc_info
    assert "raise self._error" in "".join(traceback.format_exception(record.exc_info[1]))
