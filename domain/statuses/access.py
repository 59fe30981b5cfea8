"""What users and tokens may do."""

from enum import StrEnum


class Role(StrEnum):
    """What a user may do: viewers read, members work, admins also manage."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"


class TokenScope(StrEnum):
    """What an API token may be used for, within what its user may do.

    ``write`` changes data, ``send`` lets texts go out (enrolls, sends, activates, resumes,
    releases), ``admin`` manages users, senders, tokens and event endpoints.
    """

    READ = "read"
    WRITE = "write"
    SEND = "send"
    ADMIN = "admin"
