"""Every table there is, for migrations and tests."""

from sqlmodel import SQLModel

import storage.tables.access
import storage.tables.contacts
import storage.tables.enrollments
import storage.tables.event_webhooks
import storage.tables.jobs
import storage.tables.media
import storage.tables.messaging
import storage.tables.platform
import storage.tables.sequences
import storage.tables.suppression  # noqa: F401 - importing them fills the metadata

METADATA = SQLModel.metadata
