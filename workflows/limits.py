"""Task queues, priorities, and the one table of time limits and retries."""

from dataclasses import dataclass
from datetime import timedelta

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


@dataclass(frozen=True)
class Limit:
    """The time limits and retries of one activity.

    They nest: HTTP 13 s < start-to-close 30 s < drain 45 s < container 60 s
    (docs/design.md, "Deploys").
    """

    start_to_close: timedelta
    retry: RetryPolicy
    schedule_to_close: timedelta | None = None
    heartbeat: timedelta | None = None


SEND = Limit(
    start_to_close=timedelta(seconds=30),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=0,
    ),
)
"""Sends: no maximum of attempts, the row counts."""

RESOLVE = SEND
"""Reconciliation, repeated until there is evidence; the row decides when to give up."""

CLOSE_FIRST = Limit(
    start_to_close=timedelta(seconds=2),
    schedule_to_close=timedelta(seconds=8),
    retry=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_attempts=3),
)
"""Closing as a local activity, which must not grow the history during an outage."""

CLOSE = Limit(
    start_to_close=timedelta(seconds=10),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=0,
    ),
)
"""Closing as a regular activity, without bound."""

DECIDE_FIRST = CLOSE_FIRST
"""Deciding as a local activity: as short as closing."""

DECIDE = CLOSE
"""Deciding as a regular activity, without bound."""

SWEEP = Limit(
    start_to_close=timedelta(minutes=5),
    heartbeat=timedelta(seconds=30),
    retry=RetryPolicy(maximum_attempts=1),
)
"""The sweep, tried once: the next one repeats what failed. The heartbeat detects a dead worker;
without it no other sweep could start for the rest of the 5 minutes."""

JOB = Limit(
    start_to_close=timedelta(seconds=30),
    heartbeat=timedelta(seconds=6),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)
"""A chunk of a job, which takes some seconds; no maximum of attempts, the rows count.

The heartbeat detects a dead worker before the time is up.
"""

DELIVER = Limit(
    start_to_close=timedelta(seconds=30),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)
"""One round of deliveries to an endpoint; the rows count what the endpoint refused."""
