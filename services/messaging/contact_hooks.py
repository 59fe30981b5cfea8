"""What follows when a contact changes: old texts, opt-outs, waiting steps and missing data."""

from services.contacts.merging import ContactHooks
from services.enrollments.rescheduling import contacts_moved
from services.messaging.unknown_numbers import made_known
from services.suppression.erasure import erased_among
from storage.enrollments.waking import data_changed

CONTACT_HOOKS = ContactHooks(
    erased_numbers=erased_among,
    numbers_assigned=made_known,
    clocks_changed=contacts_moved,
    data_changed=data_changed,
)
