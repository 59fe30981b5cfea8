"""What follows when a contact changes: old texts, opt-outs, waiting steps and missing data."""

from services.contacts.contacts import ContactHooks
from services.enrollments.rescheduling import contact_moved
from services.messaging.unknown_numbers import made_known
from storage.enrollments.waking import data_changed

CONTACT_HOOKS = ContactHooks(
    numbers_assigned=made_known, clock_changed=contact_moved, data_changed=data_changed
)
