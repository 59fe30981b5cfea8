"""`python -m bench.peers`: the same three-step drip on what a team would pick instead.

Each way gets two runs on fresh servers: one without a fault, for speed and cost, and one whose only
worker is killed in the middle, for what that does to people. The provider's list of texts judges.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from bench import stack
from bench.peers.measuring import code_lines, cpu_seconds, rows_written
from bench.peers.plan import CREATE_SECONDS, Plan, phones
from bench.peers.running import Run, run
from bench.peers.ways import WAYS, Running

_WARM_UP = 20
_FLUSH_SECONDS = 2
_APPLICATION = ("activities", "api", "domain", "observability", "services", "sms", "storage")
_MODULES = ("workflows", "manage.py", "settings.py", "worker.py")


def main() -> None:
    """Measure, print, and write JSON lines if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--json", type=Path, help="also append the figures as JSON lines")
    parser.add_argument("--people", type=int, default=1000, help="of each run")
    parser.add_argument("--peer", choices=WAYS, action="append", help="only this; may be repeated")
    parser.add_argument("--run", choices=("calm", "killed"), help="only this of the two")
    arguments = parser.parse_args()
    kinds = [arguments.run] if arguments.run else ["calm", "killed"]
    for name in arguments.peer or WAYS:
        for kind in kinds:
            figure = _measure(name, kind, arguments.people)
            print(json.dumps(figure), flush=True)
            if arguments.json:
                with arguments.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(figure) + "\n")


def _measure(name: str, kind: str, people: int) -> dict[str, Any]:
    print(f"{name}, {kind}: {people:,} people on {stack.cpus()} processors ...", flush=True)
    with WAYS[name]() as running:
        httpx.post(
            f"{running.servers.simulator}/_simulator/behaviour",
            json={"create_delay_seconds": CREATE_SECONDS},
        ).raise_for_status()
        return asyncio.run(_measured(running, name, kind, people))


async def _measured(running: Running, name: str, kind: str, people: int) -> dict[str, Any]:
    warm_up, plan = phones(0, _WARM_UP), Plan(phones(_WARM_UP, people), kill=kind == "killed")
    running.add([*warm_up, *plan.phones])
    await run(running, Plan(warm_up))
    await asyncio.sleep(_FLUSH_SECONDS)
    cpu, rows = cpu_seconds(), rows_written(running.servers.database_url)
    done = await run(running, plan)
    figure = {"way": name, "run": kind, "people": people, **_told(done)}
    if plan.kill:  # a process that was killed takes its figures along
        return figure
    spent = cpu_seconds()
    spent.subtract(cpu)
    await asyncio.sleep(_FLUSH_SECONDS)
    written = rows_written(running.servers.database_url) - rows
    return {
        **figure,
        "people_per_second": round(people / done.seconds, 1),
        "cpu_ms_per_person": round(1000 * spent.total() / people, 1),
        **{f"{part}_ms": round(1000 * spent[part] / people, 1) for part in spent},
        "rows_per_person": round(written / people, 1),
        "lines": code_lines(_sources(name)),
    }


def _told(done: Run) -> dict[str, Any]:
    return {
        "seconds": round(done.seconds, 1),
        "recovery_seconds": round(done.recovery_seconds, 1),
        "replies": done.replies,
        "refused_replies": done.refused,
        **vars(done.judgment),
    }


def _sources(name: str) -> Iterator[Path]:
    """The modules that do the work: of ours all of the application, its pages included."""
    if name != "ours":
        yield Path(__file__).with_name(f"with_{name}.py")
        return
    for part in map(Path, (*_APPLICATION, *_MODULES)):
        yield from part.rglob("*.py") if part.is_dir() else [part]


if __name__ == "__main__":
    main()
