"""Workflow histories: fetch them, and search them for personal data."""

import json
from collections.abc import Iterable

from temporalio.client import Client, WorkflowHistory

from tests.e2e.stack import Stack
from workflows.client import SWEEP_SCHEDULE, enrollment_workflow_id


async def fetch_all(stack: Stack) -> dict[str, list[bytes]]:
    """Fetch every event of every workflow, serialized, by workflow and run."""
    client = await Client.connect(stack.temporal_address, namespace=stack.namespace)
    found = {}
    async for execution in client.list_workflows():
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        history = await handle.fetch_history()
        found[f"{execution.id} {execution.run_id}"] = [
            event.SerializeToString() for event in history.events
        ]
    return found


async def of_enrollment(stack: Stack, enrollment_id: str) -> tuple[WorkflowHistory, object]:
    """Fetch the history and the result of an enrollment's workflow; wait for the result."""
    client = await Client.connect(stack.temporal_address, namespace=stack.namespace)
    handle = client.get_workflow_handle(enrollment_workflow_id(enrollment_id))
    return await handle.fetch_history(), await handle.result()


async def terminate(stack: Stack, enrollment_id: str) -> None:
    """Terminate an enrollment's workflow, as an operator can in the Web UI."""
    client = await Client.connect(stack.temporal_address, namespace=stack.namespace)
    await client.get_workflow_handle(enrollment_workflow_id(enrollment_id)).terminate("by hand")


async def sweep(stack: Stack) -> None:
    """Trigger the sweep, without waiting for its end."""
    client = await Client.connect(stack.temporal_address, namespace=stack.namespace)
    await client.get_schedule_handle(SWEEP_SCHEDULE).trigger()


async def workers_of(stack: Stack, enrollment_ids: Iterable[str]) -> set[str]:
    """List the worker processes that ran activities of some enrollments."""
    client = await Client.connect(stack.temporal_address, namespace=stack.namespace)
    seen = set()
    for enrollment_id in enrollment_ids:
        handle = client.get_workflow_handle(enrollment_workflow_id(enrollment_id))
        for event in (await handle.fetch_history()).events:
            if event.HasField("activity_task_started_event_attributes"):
                seen.add(event.activity_task_started_event_attributes.identity)
    return seen


async def check(stack: Stack, private: Iterable[str]) -> int:
    """Assert that no history holds any of these texts; return how many were searched."""
    needles = {spelling for text in private for spelling in _spellings(text)}
    searched = await fetch_all(stack)
    for workflow, events in searched.items():
        for event in events:
            found = [needle for needle in needles if needle in event]
            assert not found, f"{workflow}: {found}"
    return len(searched)


def _spellings(text: str) -> set[bytes]:
    """List the ways in which JSON may spell a text."""
    return {
        text.encode(),
        json.dumps(text)[1:-1].encode(),
        json.dumps(text, ensure_ascii=False)[1:-1].encode(),
    }
