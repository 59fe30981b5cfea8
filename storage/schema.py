"""Every table there is, for migrations and tests."""

from sqlmodel import SQLModel

import storage.access_tables
import storage.catch_up_tables
import storage.contact_tables
import storage.event_tables
import storage.job_tables
import storage.outbox_tables
import storage.review_tables
import storage.tables
import storage.waking_tables  # noqa: F401 - importing them fills the metadata

METADATA = SQLModel.metadata
