"""Recorded histories replay on the current code and hold nothing personal."""

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from bench.counting import cost
from tests.kits.traces import KeptTraces
from tests.workflows import histories
from tests.workflows.plays import BODY, NAME, PHONE, Stage, event_name
from tests.workflows.recorded import RECORDED, Recording
from worker import WORKFLOWS
from workflows.client import DATA_CONVERTER

LATEST = {recording.play: recording for recording in histories.recordings()}

MOST_EVENTS = 44
"""For three steps and a reply window, without the markers of live patches."""

CHANGED = """
The commands of {play!r} are no longer those of {file}.

Open workflows continue on the new code, so:
1. put the change behind `workflow.patched("...")`, so that all recorded histories still replay;
2. record what the new code does: `python -m tests.workflows.record {play}`;
3. commit the new file together with the change. Never change or delete an old one.
"""


def file_name(recording: Recording) -> str:
    return recording.file_name


def test_recorded_plays_match_recorded_histories() -> None:
    assert set(LATEST) == set(RECORDED), "python -m tests.workflows.record missing"


async def test_recorded_histories_replay() -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=DATA_CONVERTER)
    assert await histories.replay_all(replayer) == {}


@pytest.mark.parametrize("recording", histories.recordings(), ids=file_name)
def test_recorded_history_holds_nothing_personal(recording: Recording) -> None:
    assert histories.personal(histories.load(recording)) == set()


@pytest.mark.parametrize("play", RECORDED)
async def test_commands_match_the_latest_recording(
    traced_stage: Stage, traces: KeptTraces, play: str
) -> None:
    """With traces, which only add headers: without traces the same history replays."""
    with traces.tracer.start_as_current_span("request"):
        handle = await RECORDED[play](traced_stage)
    history = await handle.fetch_history()
    assert history.events[0].workflow_execution_started_event_attributes.header.fields
    now = histories.commands(history.events)
    kept = histories.commands(histories.load(LATEST[play]).events)
    assert now == kept, CHANGED.format(play=play, file=LATEST[play].file_name)
    assert histories.personal(history) == set()
    if play == "completes_without_reply":
        assert cost(histories.without_patches(history.events)).events == 42
    untraced = Replayer(workflows=WORKFLOWS, data_converter=DATA_CONVERTER)
    await untraced.replay_workflow(history)


async def test_three_steps_without_a_reply_cost_42_events_and_11_actions(stage: Stage) -> None:
    """Rule: at most 44 events; each command has a summary."""
    handle = await RECORDED["completes_without_reply"](stage)
    history = await handle.fetch_history()
    costs = cost(histories.without_patches(history.events))
    assert (costs.events, costs.actions) == (42, 11)
    assert costs.events <= MOST_EVENTS
    assert costs.bytes < 10_000
    summaries = [
        event.user_metadata.summary.data.decode()
        for event in histories.without_patches(history.events)
        if event_name(event) in {"timer_started", "activity_task_scheduled", "marker_recorded"}
    ]
    assert summaries == [
        '"decide"',
        '"step 1 of 3"',
        '"until step 2 of 3"',
        '"decide"',
        '"step 2 of 3"',
        '"until step 3 of 3"',
        '"decide"',
        '"step 3 of 3"',
        '"reply window"',
        '"close"',
    ]


@pytest.mark.parametrize("text", [PHONE, NAME, BODY, "+4915112345678"])
def test_personal_text_in_a_payload_is_found(text: str) -> None:
    history = WorkflowHistory.from_json("x", (histories.FOLDER / "sweep.1.json").read_text())
    payload = history.events[-1].workflow_execution_completed_event_attributes.result.payloads[0]
    payload.data = f'{{"text":"{text}"}}'.encode()
    assert histories.personal(history) == {text}
