"""What events hold, each type as a model: the document's ``webhooks``, and a test of every event.

The statements of ``storage/event_webhooks/events.py`` build them. Fields are only ever added.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import ConfigDict, Field

from api.paging import FilterQuery
from api.schemas.base import Schema
from domain.event_webhooks.events import ContactChange, EventType
from domain.statuses.enrollments import EnrollmentStatus, HeldReason, PauseReason
from domain.statuses.jobs import JobKind, JobState
from domain.statuses.messaging import CancelReason, TextKind
from domain.statuses.suppression import OptOutSource, TextMeaning

_AN_ID = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0001"

Step = Annotated[int, Field(ge=0, description="1-based.")]


class EventData(Schema):
    """What an event holds; receivers must expect more fields."""

    model_config = ConfigDict(extra="ignore")


class AboutContact(EventData):
    """Whom an event is about."""

    contact_id: UUID
    external_id: str | None
    """The contact's id in the system that it came from; null if it has none, or was erased."""


class AboutEnrollment(AboutContact):
    """Which enrollment an event is about."""

    enrollment_id: UUID
    sequence_id: UUID


class EnrollmentCreated(AboutEnrollment):
    """A contact was enrolled."""

    status: EnrollmentStatus
    """Some are final from the start."""
    enrolled_by: UUID
    """The user."""
    enrolled_at: datetime


class EnrollmentFinished(AboutEnrollment):
    """An enrollment has its final status."""

    status: EnrollmentStatus
    step: Step
    """The last one that was *sent*; 0 for none."""
    step_count: int
    error_code: int | None
    """The provider's, if that ended it."""
    replied_at: datetime | None
    ended_at: datetime
    ended_by: UUID | None
    """The user, if one did."""


class EnrollmentHeld(AboutEnrollment):
    """An enrollment waits for its sender, or for a person to decide."""

    reason: HeldReason
    error_code: int | None
    """The provider's."""
    step: Step
    """The one that waits to go."""
    missing_fields: list[str]
    """With `missing_data`: the fields and variables that its text cannot go without."""


class EnrollmentReleased(AboutEnrollment):
    """An enrollment is no longer held: a person decided, or its sender is off hold."""

    reason: HeldReason
    """What held it."""
    step: Step
    """The one that goes next."""
    probing: bool
    """Whether its text only tries the sender, which is still on hold."""
    paused_at: datetime | None
    """When a person paused it; it stays paused."""


class EnrollmentPaused(AboutEnrollment):
    """An enrollment waits for a person, because one paused it or its contact replied."""

    reason: PauseReason
    step: Step
    """The one that waits to go."""
    paused_at: datetime
    replied_at: datetime | None
    held_reason: HeldReason | None
    """What holds it besides."""


class EnrollmentResumed(AboutEnrollment):
    """A person resumed a paused enrollment."""

    step: Step
    """The one that goes next."""
    due_at: datetime | None
    """When that is due by its own timing."""
    held_reason: HeldReason | None
    """What still holds it."""


class EnrollmentRepliedLate(AboutEnrollment):
    """A contact replied after an enrollment had finished without a response; its status stays."""

    status: EnrollmentStatus
    replied_late_at: datetime
    """When the reply came, by the provider; the end, if it was fetched or corrected only later."""
    ended_at: datetime


class AboutMessage(EventData):
    """Which text an event is about; not every text has an enrollment, a stranger's no contact."""

    message_id: UUID
    enrollment_id: UUID | None
    sequence_id: UUID | None
    contact_id: UUID | None
    external_id: str | None
    """The contact's id in the system that it came from; null if it has none, or was erased."""
    sender_id: UUID | None


class MessageSent(AboutMessage):
    """The provider accepted a text."""

    step: Step | None
    """Null of a one-off text."""
    sent_at: datetime | None


class MessageDelivered(MessageSent):
    """A text arrived."""


class MessageFailed(AboutMessage):
    """A text failed and is not retried automatically."""

    step: Step | None
    """Null of a one-off text."""
    error_code: int | None
    """The provider's."""
    meaning: str
    """In words."""


class MessageCanceled(AboutMessage):
    """A text that a person wrote does not go."""

    reason: CancelReason
    send_at: datetime | None
    """When it was to go; null: at once."""


class MessageDoubled(AboutMessage):
    """A text was sent twice: the first was thought lost, but the provider had it."""

    step: Step | None
    """Null of a one-off text."""


class Reply(AboutMessage):
    """For which enrollments a text counts as a reply, those that it replies to late included.

    ``enrollment_id`` and ``sequence_id`` are null here.
    """

    enrollment_ids: list[UUID]
    sequence_ids: list[UUID]
    """Of each enrollment, in the same order."""
    received_at: datetime
    """By the provider."""


class MessageReceived(Reply):
    """Someone texted us."""

    kind: TextKind
    about_message_id: UUID | None
    """The text of ours that a reaction is about."""
    is_reply: bool
    """Of a reaction or an automatic reply: whether a sequence counts it."""
    keyword: TextMeaning | None
    """What it asks for."""


class MessageKindChanged(Reply):
    """A person corrected what a text is; it counts for ``enrollment_ids`` by that."""

    kind: TextKind
    was: TextKind


class ContactChanged(AboutContact):
    """A contact was created, changed or erased, or its line type became known."""

    change: ContactChange
    fields: list[str]
    """The fields that have another value now, a custom one as `fields.KEY`; none if it was
    erased."""


class ContactOptedOut(AboutContact):
    """A contact's number is suppressed."""

    source: OptOutSource
    sender_id: UUID | None
    """Null: for all senders."""


class ContactOptedIn(ContactOptedOut):
    """A contact's number is no longer suppressed."""


class JobFinished(EventData):
    """Background work is done, was canceled or failed."""

    job_id: UUID
    kind: JobKind
    state: JobState
    sequence_id: UUID | None
    """The sequence that it worked on, if it was one."""
    dry_run: bool
    total: int
    done: int
    counts: dict[str, int]
    """Rows by result."""
    error: str | None
    """The first code that kept rows, or the job, from being done."""
    started_by: UUID
    """The user."""
    created_at: datetime
    ended_at: datetime


class Tested(EventData):
    """A test that you asked for."""

    endpoint_id: UUID


DATA: Mapping[EventType, type[EventData]] = {
    EventType.ENROLLMENT_CREATED: EnrollmentCreated,
    EventType.ENROLLMENT_FINISHED: EnrollmentFinished,
    EventType.ENROLLMENT_HELD: EnrollmentHeld,
    EventType.ENROLLMENT_RELEASED: EnrollmentReleased,
    EventType.ENROLLMENT_PAUSED: EnrollmentPaused,
    EventType.ENROLLMENT_RESUMED: EnrollmentResumed,
    EventType.ENROLLMENT_REPLIED_LATE: EnrollmentRepliedLate,
    EventType.MESSAGE_SENT: MessageSent,
    EventType.MESSAGE_DELIVERED: MessageDelivered,
    EventType.MESSAGE_FAILED: MessageFailed,
    EventType.MESSAGE_CANCELED: MessageCanceled,
    EventType.MESSAGE_DOUBLED: MessageDoubled,
    EventType.MESSAGE_RECEIVED: MessageReceived,
    EventType.MESSAGE_KIND_CHANGED: MessageKindChanged,
    EventType.CONTACT_CHANGED: ContactChanged,
    EventType.CONTACT_OPTED_OUT: ContactOptedOut,
    EventType.CONTACT_OPTED_IN: ContactOptedIn,
    EventType.JOB_FINISHED: JobFinished,
    EventType.TEST_PING: Tested,
}
"""What an event of each type holds."""


class Event(Schema):
    """Something that happened."""

    id: UUID = Field(description="The header `webhook-id` of its deliveries.", examples=[_AN_ID])
    type: EventType
    timestamp: datetime
    data: dict[str, Any]
    """Ids, codes and times; what each type holds is under `webhooks` in this document. An event
    from before a field was added does not have it."""


class EventsPage(Schema):
    """Events in the order in which they happened to each subject, the oldest first."""

    items: list[Event]
    next_cursor: str | None = Field(
        description="Pass it as `after` for the next page; null if there is none yet."
    )
    last_id: UUID | None
    """The last event looked at, of whatever type: ask with it as `after` from then on."""


class EventsQuery(FilterQuery):
    """Which events to read."""

    after: UUID | None = None
    """The id of an event; those behind it are given. Without it, all that are kept."""
    cursor: UUID | None = None
    """The same as `after`, as other lists call it."""
    limit: int = Field(default=50, ge=1, le=200, description="Most items of a page.")
    type: list[EventType] = Field(
        default_factory=list, max_length=len(EventType), description="Only of these types."
    )
