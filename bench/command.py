"""What every measurement is as a command: options, figures as JSON lines, the table."""

import argparse
import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import uvloop

from bench import stack
from bench.table import Figure, Row, table
from workflows.client import leave

Options = Mapping[str, tuple[int | float | str, str]]
"""The default and the help of each option, by its name with underscores. False is a switch."""


def run(
    name: str,
    about: str | None,
    measure: Callable[..., Coroutine[Any, Any, Sequence[Figure]]],
    rows: Callable[[Sequence[Figure]], Sequence[Row]],
    options: Options,
) -> NoReturn:
    """Measure as the command line says, print the table, write JSON lines if asked, and exit.

    ``measure`` gets the options by name. It runs on the event loop that the API has.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {name}", description=about)
    parser.add_argument("--json", type=Path, help="also write the figures as JSON lines")
    parser.add_argument("--made", type=Path, help="folder of a migrated database to begin with")
    for option, (default, description) in options.items():
        flag = f"--{option.replace('_', '-')}"
        if default is False:
            parser.add_argument(flag, action="store_true", help=description)
        else:
            parser.add_argument(flag, type=type(default), default=default, help=description)
    arguments = vars(parser.parse_args())
    file: Path | None = arguments.pop("json")
    stack.MADE.set(arguments.pop("made"))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(measure(**arguments))
    print(f"\n{table(rows(figures))}", flush=True)
    if file is not None:
        write(file, figures)
    leave()


def write(file: Path, figures: Sequence[Figure]) -> None:
    """Write figures as JSON, one a line."""
    file.write_text("".join(json.dumps(figure) + "\n" for figure in figures))


def read(file: Path) -> list[Figure]:
    """Read what ``write`` wrote."""
    return [json.loads(line) for line in file.read_text().splitlines()]
