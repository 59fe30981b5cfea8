"""`python -m bench.lifecycles`: whole enrollments of three steps beside the bare engine.

Both run on one machine in turns (A B A B ...), so the ratio holds while the machine's speed
drifts; absolute figures are that machine's.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from bench import command, runs, stack
from bench.table import Aim, Figure, Row, figures_of, median_pair

MOST_EVENTS = 44
_PARTS = ("worker", "bare", "postgres", "temporal", "simulator")


async def measure(enrollments: int, pairs: int) -> list[Figure]:
    """Measure the cost of one enrollment, then pairs of runs of so many each."""
    async with stack.started() as (servers, client, services):
        with ExitStack() as programs:
            programs.enter_context(servers.program("worker", "worker"))
            address = (servers.temporal, servers.simulator, stack.ACCOUNT_SID, stack.AUTH_TOKEN)
            programs.enter_context(servers.program("bare", "bench.bare", *address))
            world = await runs.found_world(services)
            one = await runs.cost_of_one(services, client, world)
            print(
                f"one enrollment, three steps, no reply: {one.events} history events,"
                f" {one.actions} billable actions, {one.bytes} bytes"
            )
            figures: list[Figure] = [{"figure": "cost", **vars(one)}]
            print(f"warming up, then {pairs} pairs of {enrollments} on {stack.cpus()} processors")
            await runs.run_ours(services, client, world, enrollments // 4)
            await runs.run_bare(client, enrollments // 4)
            for pair in range(pairs):
                before = servers.processor_seconds()
                ours = await runs.run_ours(services, client, world, enrollments)
                between = servers.processor_seconds()
                bare = await runs.run_bare(client, enrollments)
                after = servers.processor_seconds()
                ratio = ours.per_second / bare.per_second
                print(
                    f"pair {pair + 1}: ours {ours.per_second:.1f}/s, bare"
                    f" {bare.per_second:.1f}/s, ratio {ratio:.2f}",
                    flush=True,
                )
                figure = {
                    "figure": "throughput",
                    "pair": pair + 1,
                    "enrollments": enrollments,
                    "ours_per_second": round(ours.per_second, 2),
                    "bare_per_second": round(bare.per_second, 2),
                    "ratio": round(ratio, 3),
                    "ours_cpu_ms": _cpu_ms(before, between, enrollments),
                    "bare_cpu_ms": _cpu_ms(between, after, enrollments),
                }
                figures.append(figure)
            return figures


def _cpu_ms(
    before: Mapping[str, float], after: Mapping[str, float], enrollments: int
) -> dict[str, float]:
    """Return the processor time of an enrollment in each program, in milliseconds."""
    return {name: round(1000 * (after[name] - before[name]) / enrollments, 1) for name in _PARTS}


def rows(figures: Sequence[Figure]) -> list[Row]:
    """Write the table's rows; of pairs, the one with the median ratio."""
    [cost] = figures_of(figures, "cost")
    pair = median_pair(figures_of(figures, "throughput"))
    ours, bare = (sum(pair[f"{side}_cpu_ms"].values()) for side in ("ours", "bare"))
    at_least = Aim(0.85, "ratio", "least")
    return [
        Row("whole lifecycles", pair["ours_per_second"], "/s", pair["bare_per_second"], at_least),
        Row("processor time of a lifecycle, all programs", ours, "ms", bare),
        Row("history events of a lifecycle", cost["events"], "", aim=Aim(MOST_EVENTS)),
        Row("billable actions of a lifecycle", cost["actions"], ""),
        Row("bytes of history of a lifecycle", cost["bytes"], ""),
    ]


if __name__ == "__main__":
    command.run(
        "bench.lifecycles",
        __doc__,
        measure,
        rows,
        {
            "enrollments": (300, "in each run"),
            "pairs": (3, "of runs that are counted"),
        },
    )
