"""Errors of starting and running the stack on one machine."""


class PartError(Exception):
    """A part cannot start or has died; the first line of the message is enough to understand it."""


class Interrupted(Exception):  # noqa: N818 - not an error: a person asked us to stop
    """A person or the system asked the stack to stop while it was starting."""
