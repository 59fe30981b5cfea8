"""Record histories of plays: `python -m tests.workflows.record NAME ...`, or `missing`.

Only adds: a play that has a history gets another edition, and the earlier ones stay, because
workflows started by earlier code continue on the new code.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from temporalio.client import Client

from standalone.ports import free_port
from standalone.temporal import TemporalServer
from tests.workflows import histories
from tests.workflows.plays import Script, Stage
from tests.workflows.recorded import RECORDED
from workflows.client import DATA_CONVERTER

MISSING = "missing"


async def record(names: list[str], address: str) -> None:
    client = await Client.connect(address, data_converter=DATA_CONVERTER, identity="segue")
    for name in names:
        handle = await RECORDED[name](Stage(client, Script()))
        print(histories.add(name, await handle.fetch_history()).name)  # noqa: T201 - a command


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=[*RECORDED, MISSING], metavar="NAME")
    names: list[str] = parser.parse_args().names
    if MISSING in names:
        kept = {recording.play for recording in histories.recordings()}
        names = [name for name in RECORDED if name not in kept]
    with tempfile.TemporaryDirectory(prefix="segue-record-") as folder:
        log = Path(folder) / "temporal.log"
        server = TemporalServer(None, free_port(), None, log=log)
        server.start()
        try:
            asyncio.run(record(names, server.address))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
