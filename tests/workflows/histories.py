"""Recorded histories: read and write them, list their commands, search their text."""

import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.workflows.plays import BODY, NAME, PHONE, event_name
from tests.workflows.recorded import Recording

FOLDER = Path(__file__).with_name("histories")

_LOCAL_ACTIVITY = "core_local_activity"
_PATCH = "core_patch"
_PATCHES = "TemporalChangeVersion"
_PERSONAL = re.compile(rf"\+\d{{8,}}|{re.escape(PHONE[1:])}|{NAME}|{re.escape(BODY)}")


def recordings() -> list[Recording]:
    """List the recorded histories, the editions of a play in order."""
    found = [path.name.split(".") for path in FOLDER.glob("*.json")]
    return sorted(
        (Recording(play, int(edition)) for play, edition, _ in found),
        key=lambda recording: (recording.play, recording.edition),
    )


def load(recording: Recording) -> WorkflowHistory:
    text = (FOLDER / recording.file_name).read_text()
    return WorkflowHistory.from_json(recording.play, text)


async def replay_all(replayer: Replayer) -> dict[str, Exception]:
    """Replay every recorded history; return the failures by file name."""
    found = {recording.file_name: load(recording) for recording in recordings()}

    async def each() -> AsyncIterator[WorkflowHistory]:
        for history in found.values():
            yield history

    results = await replayer.replay_workflows(each(), raise_on_replay_failure=False)
    assert len({history.run_id for history in found.values()}) == len(found)
    return {
        name: results.replay_failures[history.run_id]
        for name, history in found.items()
        if history.run_id in results.replay_failures
    }


def add(play: str, history: WorkflowHistory) -> Path:
    """Write a history as the next edition of a play; never overwrite one."""
    editions = [recording.edition for recording in recordings() if recording.play == play]
    path = FOLDER / Recording(play, max(editions, default=0) + 1).file_name
    plain = _without_stacks(json.loads(history.to_json()))
    with path.open("x") as file:
        json.dump(plain, file, indent=1, sort_keys=True)
        file.write("\n")
    return path


def _without_stacks(value: Any) -> Any:
    """Leave out the stack traces of failures."""
    if isinstance(value, dict):
        return {key: _without_stacks(one) for key, one in value.items() if key != "stackTrace"}
    if isinstance(value, list):
        return [_without_stacks(one) for one in value]
    return value


def commands(events: Sequence[HistoryEvent]) -> list[str]:
    """List the workflow's commands in order: its fingerprint."""
    return [said for event in events if (said := _command(event))]


def _command(event: HistoryEvent) -> str | None:
    name = event_name(event)
    match name:
        case "activity_task_scheduled":
            scheduled = event.activity_task_scheduled_event_attributes
            return f"activity {scheduled.activity_type.name} on {scheduled.task_queue.name}"
        case "marker_recorded":
            marker = event.marker_recorded_event_attributes
            if marker.marker_name != _LOCAL_ACTIVITY:
                return f"marker {marker.marker_name}"
            about = json.loads(marker.details["data"].payloads[0].data)
            return f"local activity {about['activity_type']}"
        case (
            "timer_started"
            | "timer_canceled"
            | "activity_task_cancel_requested"
            | "workflow_execution_completed"
            | "workflow_execution_failed"
            | "workflow_execution_continued_as_new"
            | "upsert_workflow_search_attributes"
        ):
            return name.replace("_", " ")
        case _:
            return None


def without_patches(events: Sequence[HistoryEvent]) -> list[HistoryEvent]:
    """Leave out the markers of live patches, which do not count for the limit."""
    return [event for event in events if not _is_of_patch(event)]


def patches(events: Sequence[HistoryEvent]) -> list[str]:
    """List the names of the patches in a history, in order."""
    markers = [event.marker_recorded_event_attributes for event in events]
    return [
        json.loads(marker.details["patch-data"].payloads[0].data)["id"]
        for marker in markers
        if marker.marker_name == _PATCH
    ]


def _is_of_patch(event: HistoryEvent) -> bool:
    upserted = event.upsert_workflow_search_attributes_event_attributes.search_attributes
    marked = event.marker_recorded_event_attributes.marker_name
    return marked == _PATCH or _PATCHES in upserted.indexed_fields


def personal(history: WorkflowHistory) -> set[str]:
    """Find numbers, names and texts anywhere in a history, payloads included."""
    return {
        found
        for text in _strings(json.loads(history.to_json()))
        for found in _PERSONAL.findall(text)
    }


def _strings(value: Any) -> Iterator[str]:
    """Iterate over all keys and texts, and over the texts decoded from Base64."""
    if isinstance(value, dict):
        yield from value
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list):
        for one in value:
            yield from _strings(one)
    elif isinstance(value, str):
        yield value
        with contextlib.suppress(ValueError):
            yield base64.b64decode(value, validate=True).decode()
