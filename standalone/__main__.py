"""Runs the whole stack on one machine until Ctrl-C: `python -m standalone`, or `make up`."""

import signal
import sys

from settings import load_standalone_settings
from standalone.errors import Interrupted, PartError
from standalone.stack import Stack, say


def main() -> int:
    """Start the stack, watch it, stop it.

    Returns:
        The exit code: 0 after a requested stop, 1 when a part cannot start or has died.
    """
    stack = Stack(load_standalone_settings())
    # A second Ctrl-C while stopping is the same request again, never a half-finished stop.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stack.request_stop())
    running = False
    try:
        stack.up()
        running = True
        stack.watch()
    except Interrupted:
        pass
    except PartError as error:
        message = str(error)
        # The log's last lines help while starting; later one line is enough.
        say(f"✗ {message.splitlines()[0] if running else message}")
        return 1
    finally:
        stack.down()
    say("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
