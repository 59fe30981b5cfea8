"""Task queues, priorities, and the one table of time limits and retries."""

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy

ENROLLMENT_QUEUE = "segue"
"""Workflows, and every activity that needs no queue of its own."""
SEND_QUEUE = "segue-send"
"""Activities that send; one partition, fair by sender, paced."""
QUESTION_QUEUE = "segue-questions"
"""Activities that reconcile attempts and look up line types; not paced."""
EVENT_QUEUE = "segue-events"
"""Activities that call event endpoints: a slow one must hold up nothing else."""

DEPLOYMENT = "segue"
"""The name of our worker deployment: all versions of our workers."""

PERSON_PRIORITY = 1
"""A one-off text and its workflow."""
SWEEP_PRIORITY = 1
"""The sweep, which must not wait behind the work that it repairs."""
STEP_PRIORITY = 3
"""A step of a sequence, and its enrollment."""

CLOCK_SKEW_BACKOFF = timedelta(seconds=1)
"""How long to wait before asking a row again whose clock is behind ours: it was not due yet."""


class Limit(TypedDict):
    """The time limits and retries of one activity, by the SDK's names.

    They nest: HTTP 13 s < start-to-close 30 s < drain 45 s < container 60 s
    (docs/design.md, "Deploys").
    """

    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class LocalLimit(Limit):
    """The same of a local activity, with a limit on all its attempts together."""

    schedule_to_close_timeout: timedelta


class BeatingLimit(Limit):
    """The same of an activity that sends heartbeats."""

    heartbeat_timeout: timedelta


_UP_TO_30_SECONDS = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)
)
_UP_TO_A_MINUTE = RetryPolicy(
    initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)
)
"""Retries without a maximum of attempts: the rows count them."""

SEND: Limit = {"start_to_close_timeout": timedelta(seconds=30), "retry_policy": _UP_TO_30_SECONDS}

RESOLVE = SEND
"""Reconciliation, repeated until there is evidence; the row decides when to give up."""

ASK_AT_ONCE: LocalLimit = {
    "start_to_close_timeout": timedelta(seconds=2),
    "schedule_to_close_timeout": timedelta(seconds=8),
    "retry_policy": RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_attempts=3),
}
"""Deciding and closing as a local activity, which must not grow the history during an outage."""

ASK: Limit = {"start_to_close_timeout": timedelta(seconds=10), "retry_policy": _UP_TO_30_SECONDS}
"""Deciding and closing as a regular activity."""

SWEEP: BeatingLimit = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(maximum_attempts=1),
}
"""The sweep, tried once: the next one repeats what failed. The heartbeat detects a dead worker;
without it no other sweep could start for the rest of the 5 minutes."""

JOB: BeatingLimit = {
    "start_to_close_timeout": timedelta(seconds=30),
    "heartbeat_timeout": timedelta(seconds=6),
    "retry_policy": _UP_TO_A_MINUTE,
}
"""A chunk of a job, which takes some seconds. The heartbeat detects a dead worker before the time
is up."""

DELIVER: Limit = {"start_to_close_timeout": timedelta(seconds=30), "retry_policy": _UP_TO_A_MINUTE}
"""One round of deliveries to an endpoint."""
