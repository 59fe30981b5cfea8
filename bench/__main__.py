"""`make bench`: the cost of an enrollment, and its throughput beside the bare engine.

Both run on one machine in turns (A B A B ...), so the ratio holds while the machine's speed
drifts; absolute figures are that machine's.
"""

import argparse
import asyncio
import json
import statistics
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

from temporalio.client import Client

from bench import runs, stack
from workflows.client import DATA_CONVERTER


def main() -> None:
    """Measure, print, and write JSON lines if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures as JSON lines")
    parser.add_argument("--enrollments", type=int, default=300, help="in each run")
    parser.add_argument("--pairs", type=int, default=3, help="of runs that are counted")
    arguments = parser.parse_args()
    figures = asyncio.run(_measure(arguments.enrollments, arguments.pairs))
    if arguments.json:
        lines = "".join(json.dumps(figure) + "\n" for figure in figures)
        arguments.json.write_text(lines)


async def _measure(count: int, pairs: int) -> list[dict[str, Any]]:
    figures: list[dict[str, Any]] = []

    def say(text: str, **figure: Any) -> None:  # noqa: ANN401 - figures of any kind
        print(text, flush=True)
        if figure:
            figures.append(figure)

    print("starting PostgreSQL, Temporal and the simulator ...", flush=True)
    with ExitStack() as programs, stack.servers() as servers:
        async with AsyncExitStack() as closing:
            client = await Client.connect(servers.temporal, data_converter=DATA_CONVERTER)
            services = await stack.services(servers, client, closing)
            programs.enter_context(servers.program("worker", "worker"))
            address = (servers.temporal, servers.simulator, stack.ACCOUNT_SID, stack.AUTH_TOKEN)
            programs.enter_context(servers.program("bare", "bench.bare", *address))
            world = await runs.found_world(services)
            one = await runs.cost_of_one(services, client, world)
            say(
                f"one enrollment, three steps, no reply: {one.events} history events,"
                f" {one.actions} billable actions, {one.bytes} bytes",
                figure="cost",
                events=one.events,
                actions=one.actions,
                bytes=one.bytes,
            )
            print(f"warming up, then {pairs} pairs of {count} each on {stack.cpus()} processors")
            await runs.run_ours(services, client, world, count // 4)
            await runs.run_bare(client, count // 4)
            ratios = []
            for pair in range(pairs):
                ours = await runs.run_ours(services, client, world, count)
                bare = await runs.run_bare(client, count)
                ratios.append(ours.per_second / bare.per_second)
                say(
                    f"pair {pair + 1}: ours {ours.per_second:.1f}/s, bare"
                    f" {bare.per_second:.1f}/s, ratio {ratios[-1]:.2f}",
                    figure="throughput",
                    pair=pair + 1,
                    enrollments=count,
                    ours_per_second=round(ours.per_second, 2),
                    bare_per_second=round(bare.per_second, 2),
                    ratio=round(ratios[-1], 3),
                )
            say(
                f"completed per second, ours over the bare engine: median"
                f" {statistics.median(ratios):.2f}"
                f" (min {min(ratios):.2f}, max {max(ratios):.2f})",
                figure="ratio",
                median=round(statistics.median(ratios), 3),
                least=round(min(ratios), 3),
                most=round(max(ratios), 3),
            )
    return figures


if __name__ == "__main__":
    main()
