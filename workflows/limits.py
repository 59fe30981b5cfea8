"""Task queues, priorities, and the one table of time limits and retries."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio.common import RetryPolicy

ENROLLMENT_QUEUE = "segue"
"""Workflows, and every activity that needs no queue of its own."""
SEND_QUEUE = "segue-send"
"""Activities that send; one partition, fair by sender, paced."""
QUESTION_QUEUE = "segue-questions"
"""Activities that ask the provider for what must be known before a send; not paced."""
EVENT_QUEUE = "segue-events"
"""Activities that call event endpoints: a slow one must hold up nothing else."""

DEPLOYMENT = "segue"
"""What Temporal calls all versions of our workers together."""

PERSON_PRIORITY = 1
"""A text that a person wrote just now, and its workflow."""
SWEEP_PRIORITY = 1
"""The sweep, which mends what is stuck: it must not wait behind what it is to mend."""
STEP_PRIORITY = 3
"""A step of a sequence, and its enrollment."""

CLOCK_SKEW_BACKOFF = timedelta(seconds=1)
"""Between two times of asking a row that says, by a clock behind ours, that it is not time yet."""


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
"""Finding out what became of a text, until there is proof; the row says when to give up."""

CLOSE_FIRST = Limit(
    start_to_close=timedelta(seconds=2),
    schedule_to_close=timedelta(seconds=8),
    retry=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_attempts=3),
)
"""Closing as a local activity: during an outage it must not grow the history."""

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
"""The sweep: the next one repeats what this one could not. Never two at once, so one whose worker
died is noticed by its silence; else nothing would be swept for the rest of its 5 minutes."""

JOB = Limit(
    start_to_close=timedelta(seconds=30),
    heartbeat=timedelta(seconds=6),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)
"""A chunk of a job takes some seconds and is repeated without bound: its rows count.

Without a heartbeat, that of a worker that died would be missed only at the end of its time.
"""

DELIVER = Limit(
    start_to_close=timedelta(seconds=30),
    retry=RetryPolicy(
        initial_interval=timedelta(seconds=1),
        maximum_interval=timedelta(minutes=1),
        maximum_attempts=0,
    ),
)
"""One round of deliveries to an endpoint; what an endpoint refuses is counted on the rows."""
