"""The promise, searched: every step that anyone can take, in every order, within some bounds.

Prints how many states each world has. If the promise is broken in one, prints the shortest story
that breaks it, and fails.
"""

import argparse
import sys

from tests.model.guards import GUARDS
from tests.model.search import Found, search
from tests.model.worlds import DEEP, SHORT


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--short", action="store_true", help="only what `make test` searches")
    parser.add_argument("--world", help="only worlds with this in their name")
    parser.add_argument(
        "--without",
        choices=[guard.name for guard in GUARDS],
        help="take this guard out and tell what it is there for",
    )
    arguments = parser.parse_args()
    if arguments.without is not None:
        guard = next(one for one in GUARDS if one.name == arguments.without)
        with guard.taken_out():
            found = search(guard.world)
        _say(f"Left out: {guard.about}.", *found.story)
        return
    worlds = [
        world
        for world in (SHORT if arguments.short else SHORT + DEEP)
        if arguments.world is None or arguments.world in world.name
    ]
    _say("| world | states | steps | farthest | seconds |", "|---|---|---|---|---|")
    searched = []
    for world in worlds:
        searched.append(search(world))
        _say(_row(searched[-1]))
    _say(
        f"| all | {sum(one.states for one in searched):,} | {sum(one.steps for one in searched):,}"
        f" | | {sum(one.seconds for one in searched):.0f} |"
    )
    broken = [one for one in searched if one.breach is not None]
    for one in broken:
        _say("", f"{one.world.name}:", *one.story)
    _say("", "The promise is broken." if broken else "The promise holds.")
    sys.exit(1 if broken else 0)


def _row(found: Found) -> str:
    more = "" if found.is_whole else ", and farther on"
    return (
        f"| {found.world.name} | {found.states:,} | {found.steps:,} | {found.depth}{more}"
        f" | {found.seconds:.1f} |"
    )


def _say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201 - a command


if __name__ == "__main__":
    main()
