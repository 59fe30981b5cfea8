"""The API with faults at named points: `python -m tests.chaos.api FOLDER PORT`."""

import argparse
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvicorn

from api import app
from services.factory import Services
from tests.chaos.points import Faults, StruckDatabase, StruckReceiver


def build(faults: Faults, *given: Any, **named: Any) -> Services:
    """Build the API's use cases with receivers of webhooks that faults strike."""
    services = Services(*given, **named)
    services.inbound = StruckReceiver(services.inbound, faults, "inbound")  # type: ignore[assignment]
    services.status_callbacks = StruckReceiver(services.status_callbacks, faults, "report")  # type: ignore[assignment]
    return services


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("port", type=int)
    arguments = parser.parse_args()
    faults = Faults(arguments.folder)
    with (
        patch.object(app, "Database", StruckDatabase),
        patch.object(app, "Services", partial(build, faults)),
    ):
        uvicorn.run(
            app.create_app(),
            port=arguments.port,
            access_log=False,
            timeout_graceful_shutdown=5,
        )


if __name__ == "__main__":
    main()
