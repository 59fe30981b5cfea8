"""Run the simulator: ``python -m simulator --port 8100 --account-sid AC... --auth-token ...``."""

import argparse
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import uvicorn

from simulator.app import create_app
from simulator.server import server_config
from simulator.state import SimulatorConfig


def read_arguments(words: Sequence[str] | None = None) -> tuple[SimulatorConfig, str, int]:
    """Parse the command line into a configuration, host and port; no environment is read."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--account-sid", required=True, help="AC and 32 hex digits")
    parser.add_argument("--auth-token", required=True)
    parser.add_argument(
        "--inbound-url", required=True, help="webhook for texts from handsets, as it is signed"
    )
    parser.add_argument(
        "--delivery-delay", type=float, default=0.5, help="seconds until a text is delivered"
    )
    parser.add_argument("--seed", type=int, help="makes error rates and shuffling repeatable")
    arguments = parser.parse_args(words)
    config = SimulatorConfig(
        account_sid=arguments.account_sid,
        auth_token=arguments.auth_token,
        inbound_url=arguments.inbound_url,
        delivery_delay=timedelta(seconds=arguments.delivery_delay),
        seed=arguments.seed,
        base_url=f"http://{arguments.host}:{arguments.port}",
    )
    return config, arguments.host, arguments.port


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    config, host, port = read_arguments()
    with suppress(KeyboardInterrupt):
        uvicorn.Server(server_config(create_app(config), host, port)).run()


if __name__ == "__main__":
    main()
