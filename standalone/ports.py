"""TCP ports on this machine: taken, answering, or free."""

import http
import http.client
import secrets
import socket
import time
from dataclasses import dataclass

from standalone.errors import PartError

LOOPBACK = "127.0.0.1"

_LEAVING_SECONDS = 2
_PROBE_SECONDS = 2
_QUIET = range(10_100, 32_768)
"""Ports that no system gives to outgoing connections, which could take the port of a server that is
restarting. Browsers refuse 10080."""


@dataclass(frozen=True)
class PortOf:
    """A port, the part that listens on it, and the variable that changes it."""

    part: str
    number: int
    variable: str


def check_free(ports: list[PortOf]) -> None:
    """Check that nothing listens on these ports, waiting a moment for servers that are stopping.

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
    """Return whether something accepts connections on a loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=1):
            return True
    except OSError:
        return False


def says_ok(port: int, path: str) -> bool:
    """Return whether a GET of a path on this machine is answered with 200."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=_PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that nothing listens on; another process may take it at any time."""
    while _taken(port := secrets.choice(_QUIET)):
        pass
    return port


def _taken(port: int) -> bool:
    """Try to listen as a server would; a connection in TIME_WAIT does not count."""
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
