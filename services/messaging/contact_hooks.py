"""What follows when a contact's number or clock changes: old texts, opt-outs and waiting steps."""

from services.contacts.merging import ContactHooks
from services.enrollments.rescheduling import contacts_moved
from services.messaging.unknown_numbers import made_known
from services.suppression.erasure import erased_among

CONTACT_HOOKS = ContactHooks(
    erased_numbers=erased_among, numbers_assigned=made_known, clocks_changed=contacts_moved
)
