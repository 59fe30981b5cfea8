"""Run chaos: `python -m tests.chaos --enrollments 500 --seed N`; fails on a violation."""

import argparse
import random
import sys

from tests.chaos.report import table
from tests.chaos.run import Plan, run

_PER_SECOND = 5


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--enrollments", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument(
        "--short", action="store_true", help="few disruptions, one fault at each point"
    )
    arguments = parser.parse_args()
    plan = Plan(
        arguments.enrollments,
        arguments.seed,
        seconds=arguments.enrollments / _PER_SECOND,
        short=arguments.short,
    )
    print(f"seed {plan.seed}", flush=True)  # noqa: T201 - a command
    outcome = run(plan)
    print(table(outcome))  # noqa: T201 - a command
    sys.exit(1 if outcome.violations else 0)


if __name__ == "__main__":
    main()
