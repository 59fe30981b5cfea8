# mypy: disable-error-code="import-untyped"
"""The bare engine: the same timers and one HTTP call per step, nothing else.

`python -m bench.bare TEMPORAL SIMULATOR ACCOUNT TOKEN` is its worker. It calls through the same
Twilio client as ours, so the ratio shows the cost of the protocol, not of the client.
"""

import asyncio
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import uvloop
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from twilio.http.http_client import TwilioHttpClient
    from twilio.rest import Client as Twilio

    from workflows.client import DATA_CONVERTER

QUEUE = "bare"
SENDS_AT_ONCE = 20


@dataclass(frozen=True)
class Bare:
    """The recipient and the pauses between texts."""

    to: str
    sender: str
    delay_seconds: float
    reply_window_seconds: float
    steps: int


@dataclass(frozen=True)
class Text:
    """One text."""

    to: str
    sender: str


@workflow.defn(name="Bare")
class BareWorkflow:
    """Three texts with a timer after each."""

    @workflow.run
    async def run(self, bare: Bare) -> None:
        """Send, wait, send, wait, send, wait."""
        for step in range(bare.steps):
            await workflow.execute_activity(
                "bare_send",
                Text(bare.to, bare.sender),
                start_to_close_timeout=timedelta(seconds=30),
            )
            last = step == bare.steps - 1
            await workflow.sleep(bare.reply_window_seconds if last else bare.delay_seconds)


class BareActivities:
    """The only activity, calling the simulator at an address with its account's credentials."""

    def __init__(self, simulator: str, account_sid: str, auth_token: str) -> None:
        http = TwilioHttpClient(timeout=10)
        self._twilio = Twilio(account_sid, auth_token, http_client=http)
        self._twilio.api.base_url = simulator

    @activity.defn(name="bare_send")
    def send(self, text: Text) -> str:
        """Send one text to the simulator."""
        return str(self._twilio.messages.create(to=text.to, from_=text.sender, body="Hello").sid)


async def _main(temporal: str, simulator: str, account_sid: str, auth_token: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    client = await Client.connect(temporal, data_converter=DATA_CONVERTER)
    with ThreadPoolExecutor(SENDS_AT_ONCE) as threads:
        async with Worker(
            client,
            task_queue=QUEUE,
            workflows=[BareWorkflow],
            activities=[BareActivities(simulator, account_sid, auth_token).send],
            activity_executor=threads,
            max_concurrent_activities=SENDS_AT_ONCE,
            max_cached_workflows=500,
        ):
            await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as ours
        runner.run(_main(*sys.argv[1:]))
