"""TCP ports on this machine: is one taken, does one answer, which one is free."""

import secrets
import socket
import time
from dataclasses import dataclass

from standalone.errors import PartError

LOOPBACK = "127.0.0.1"

_LEAVING_SECONDS = 2
_QUIET = range(10_100, 32_768)
"""What no system gives to outgoing connections: one of those could take the port of a server that
is just being started again. Browsers refuse 10080."""


@dataclass(frozen=True)
class PortOf:
    """A port, the part that is to listen on it, and the variable that moves it."""

    part: str
    number: int
    variable: str


def check_free(ports: list[PortOf]) -> None:
    """Make sure that nothing listens on these ports, allowing for what is just stopping.

    Raises:
        PartError: A port is taken; the message names the part, the port and the variable to set.
    """
    deadline = time.monotonic() + _LEAVING_SECONDS
    for port in ports:
        while _taken(port.number) and time.monotonic() < deadline:
            time.sleep(0.1)
        if _taken(port.number):
            raise PartError(
                f"{port.part} cannot start: port {port.number} is taken."
                f" Choose another: {port.variable}={_suggestion(port.number)} make up"
            )


def answers(port: int) -> bool:
    """Say whether something accepts connections on this port of the loopback interface."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def free_port() -> int:
    """Find a port nothing listens on. Another process may take it before the caller does."""
    return next(port for port in iter(_any_port, None) if not _taken(port))


def _any_port() -> int:
    return _QUIET.start + secrets.randbelow(len(_QUIET))


def _taken(port: int) -> bool:
    """Try to listen as a server would; a connection left in TIME_WAIT does not count."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


def _suggestion(taken: int) -> int:
    following = range(taken + 1, min(taken + 100, 65536))
    return next((port for port in following if not _taken(port)), free_port())
