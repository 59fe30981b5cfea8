"""How long to wait between looks: a look costs the programs under test processor time."""

import time
from collections.abc import Iterator


def pauses(first: float, longest: float) -> Iterator[float]:
    """Yield the seconds until each next look: a fifth of the time waited, within these bounds."""
    began = time.monotonic()
    while True:
        yield min(max(first, (time.monotonic() - began) / 5), longest)
