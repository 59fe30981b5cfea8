"""Run the whole stack on one machine until Ctrl-C: `python -m standalone`, or `make up`."""

import argparse
import signal
import sys

from settings import StandaloneSettings
from standalone.errors import Interrupted, PartError
from standalone.stack import Stack, say


def main() -> int:
    """Start the stack, watch it, stop it; return 0 after a requested stop, 1 after a failure."""
    argparse.ArgumentParser(
        "python -m standalone", description=__doc__, epilog="Settings: .env.example"
    ).parse_args()
    stack = Stack(StandaloneSettings.load())
    # A second Ctrl-C repeats the request; it never interrupts the stop.
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
        # While starting, the log's last lines help; later the first line is enough.
        say(f"✗ {message.splitlines()[0] if running else message}")
        return 1
    finally:
        stack.down()
    say("Stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
