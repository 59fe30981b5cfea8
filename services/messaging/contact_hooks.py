"""What follows when a contact's number or clock changes: old texts, opt-outs and waiting steps."""

from services.contacts.contacts import ContactHooks
from services.enrollments.rescheduling import contact_moved
from services.messaging.unknown_numbers import made_known

CONTACT_HOOKS = ContactHooks(numbers_assigned=made_known, clock_changed=contact_moved)
