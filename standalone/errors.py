"""What can go wrong when the stack starts or runs on one machine."""


class PartError(Exception):
    """A part cannot start or has died. The first line of the message says all that matters."""


class Interrupted(Exception):  # noqa: N818 (no error: a person asked us to stop)
    """A person or the system asked the stack to stop while it was still starting."""
