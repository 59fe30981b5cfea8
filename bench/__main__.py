"""`make bench`: every measurement, one after the other, and one table of them all."""

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench import command, stack
from bench.table import Figure, Row, table

BENCHES: Sequence[tuple[str, ...]] = (
    ("lifecycles",),
    ("webhooks",),
    ("lists",),
    ("enrolling",),
    ("at_rest",),
    ("pacing",),
    ("release",),
)
QUICK: Sequence[tuple[str, ...]] = (
    ("lifecycles", "--enrollments=40", "--pairs=1"),
    ("webhooks", "--seconds=1", "--pairs=1", "--people=10000", "--no-burst"),
    ("lists", "--enrollments=20000", "--rounds=3"),
    ("enrolling", "--contacts=1000", "--pairs=1"),
    ("at_rest", "--waiting=100,400"),
    ("pacing", "--texts=4"),
    ("release", "--held=5000"),
)
LARGE: Sequence[tuple[str, ...]] = (
    ("lists", "--enrollments=1000000"),
    ("lists", "--enrollments=10000000"),
    ("scale",),
)


def main() -> None:
    """Run the measurements that are asked for, print the table, and fail if one failed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="also write all figures as JSON lines")
    extent = parser.add_mutually_exclusive_group()
    extent.add_argument("--quick", action="store_true", help="little of each, in some minutes")
    extent.add_argument("--large", action="store_true", help="what takes an hour or more")
    arguments = parser.parse_args()
    benches = QUICK if arguments.quick else LARGE if arguments.large else BENCHES
    figures, rows, failed = list[Figure](), list[Row](), list[str]()
    with tempfile.TemporaryDirectory(prefix="segue-bench-") as folder:
        Path(folder).chmod(0o755)
        with stack.postgres_in(Path(folder)):
            pass  # made once for all
        for name, *options in benches:
            print(f"\n{' '.join([name, *options])}", flush=True)
            begun = time.monotonic()
            measured = _measure(name, options, Path(folder))
            print(f"{name} took {time.monotonic() - begun:.0f} s", flush=True)
            if measured is None:
                failed.append(name)
                continue
            figures += ({"bench": name, **figure} for figure in measured)
            rows += importlib.import_module(f"bench.{name}").rows(measured)
            if arguments.json:
                command.write(arguments.json, figures)
    print(f"\n{table(rows)}")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _measure(name: str, options: Sequence[str], folder: Path) -> list[Figure] | None:
    """Run one measurement in a process of its own, on the folder's database; None if it failed."""
    file = folder / "figures.jsonl"
    common = ("--made", str(folder), "--json", str(file))
    words = [sys.executable, "-m", f"bench.{name}", *options, *common]
    ended = subprocess.run(words, check=False)  # noqa: S603 - our own programs
    return None if ended.returncode else command.read(file)


if __name__ == "__main__":
    main()
