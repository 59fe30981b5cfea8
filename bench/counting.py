"""Counts of events and billable actions in a workflow's history."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_ACTIONS = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
        EventType.EVENT_TYPE_TIMER_STARTED,
        EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
    }
)
"""One billable action each (Temporal Cloud's list of actions, read November 2026)."""


@dataclass(frozen=True)
class Cost:
    """The cost of one workflow.

    Attributes:
        actions: Billable actions; local activities count one per workflow task, retries do not.
        bytes: Size of the serialized history.
    """

    events: int
    actions: int
    bytes: int


def cost(events: Sequence[HistoryEvent]) -> Cost:
    """Count a history's events and billable actions."""
    kinds = Counter(event.event_type for event in events)
    tasks_with_local_activities = {
        event.marker_recorded_event_attributes.workflow_task_completed_event_id
        for event in events
        if event.marker_recorded_event_attributes.marker_name == "core_local_activity"
    }
    return Cost(
        events=len(events),
        actions=sum(kinds[kind] for kind in _ACTIONS) + len(tasks_with_local_activities),
        bytes=sum(event.ByteSize() for event in events),
    )
