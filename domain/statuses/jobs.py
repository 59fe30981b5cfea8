"""What jobs do, and their states."""

from enum import StrEnum


class JobKind(StrEnum):
    """What work in the background does."""

    IMPORT_CONTACTS = "import_contacts"
    IMPORT_SUPPRESSIONS = "import_suppressions"
    ENROLL = "enrol"
    MARK_FINISHED = "mark_finished"
    ADD_TO_GROUP = "add_to_group"
    PAUSE = "pause"
    RESUME = "resume"
    RELEASE = "release"
    GROUP_CONTACTS = "group_contacts"
    UNGROUP_CONTACTS = "ungroup_contacts"
    ASSIGN_CONTACTS = "assign_contacts"
    OPT_OUT_CONTACTS = "opt_out_contacts"


class JobState(StrEnum):
    """Where work in the background stands; the last three are final.

    ``receiving``: its rows are being uploaded, or are all here and nobody has said yet that the
    work may begin. ``canceling``: rows under way are finished.
    """

    RECEIVING = "receiving"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELING = "canceling"
    DONE = "done"
    CANCELED = "canceled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Whether nothing is done any more."""
        return self in {JobState.DONE, JobState.CANCELED, JobState.FAILED}
