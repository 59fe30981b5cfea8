"""One example request for every route, as the OpenAPI document shows it and a test sends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONTACT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0001"
OTHER_CONTACT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0002"
GROUP = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0003"
SENDER = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0004"
DRAFT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0005"
PAUSED_SEQUENCE = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0007"
ENROLLMENT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0008"
SCHEDULED_MESSAGE = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000f"
UNKNOWN_MESSAGE = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00f4"
FIELD = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00f1"
NOTE = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00f2"
SAVED_REPLY = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00f3"
OWN_TOKEN = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000c"  # noqa: S105 - a token's id

IDS = {
    "consent_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00e3",
    "contact_id": CONTACT,
    "endpoint_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00e1",
    "enrollment_id": ENROLLMENT,
    "event_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00e2",
    "external_id": "crm-4711",
    "field_id": FIELD,
    "group_id": GROUP,
    "job_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0020",
    "message_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000d",
    "note_id": NOTE,
    "saved_reply_id": SAVED_REPLY,
    "sender_id": SENDER,
    "sequence_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0006",
    "session_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000e",
    "suppression_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000b",
    "template_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00d1",
    "token_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000a",
    "user_id": "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0009",
}
"""The value of each parameter of a path, where its route has no other."""


@dataclass(frozen=True)
class Example:
    """A request.

    Attributes:
        path: Parameters of the path that differ from ``IDS``.
        query: Query parameters.
        body: JSON body, or the text of a file; None for none.
        status: HTTP status of the answer; None for the route's own.
    """

    path: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    status: int | None = None


_enrollments = {"enrollment_ids": [ENROLLMENT]}

EXAMPLES: Mapping[str, Example] = {
    # Work in the background
    "contacts.import_contacts": Example(
        query={"dry_run": True, "region": "US"},
        body="first_name,last_name,phone\nAda,Byron,+14155550123\n",
    ),
    "jobs.start_batch": Example(
        body={"action": "pause", "filter": {"search": "lee", "status": ["active"]}}
    ),
    "jobs.list_jobs": Example(query={"mine": True, "state": ["queued", "running"], "limit": 20}),
    "jobs.list_results": Example(query={"code": ["paused"], "limit": 20}),
    # Contacts
    "contacts.create_contact": Example(
        body={
            "first_name": "Ada",
            "last_name": "Byron",
            "phone": "+1 415 555 0123",
            "time_zone": "America/Los_Angeles",
            "country": "US",
            "state": "CA",
            "postal_code": "94103",
            "external_id": "crm-4712",
            "fields": {"job_title": "Welder"},
        }
    ),
    "contacts.list_contacts": Example(
        query={
            "updated_since": "2026-01-01T00:00:00Z",
            "field.*": {"field.job_title": ["Nurse"]},
            "sort": "updated_at",
            "limit": 20,
        }
    ),
    "contacts.change_contact": Example(
        body={"time_zone": "America/Denver", "fields": {"job_title": None}}
    ),
    "contacts.put_contact_by_external_id": Example(body={"fields": {"job_title": "Head nurse"}}),
    "contacts.upsert_contacts": Example(
        body={
            "contacts": [
                {"external_id": "crm-4711", "fields": {"job_title": "Head nurse"}},
                {"external_id": "crm-4713", "first_name": "Grace", "phone": "+1 415 555 0124"},
            ]
        }
    ),
    "contacts.erase_contact": Example(path={"contact_id": OTHER_CONTACT}),
    "contacts.create_note": Example(body={"body": "Prefers mornings."}),
    "messages.get_proof": Example(path={"message_id": SCHEDULED_MESSAGE}),
    "contacts.add_consent": Example(
        body={
            "source": "Application form, jobs.example.com",
            "wording": "I agree to receive texts about my application. Reply STOP to opt out.",
            "written": True,
            "given_at": "2026-11-02T15:04:00Z",
            "address": "198.51.100.7",
        }
    ),
    "contacts.list_consents": Example(query={"limit": 20}),
    "contacts.list_notes": Example(query={"limit": 20}),
    # Fields
    "fields.create_field": Example(
        body={"key": "start_date", "label": "Start date", "type": "date"}
    ),
    "fields.list_fields": Example(query={"limit": 20}),
    "fields.change_field": Example(body={"label": "Position"}),
    # Groups
    "groups.create_group": Example(body={"name": "Nurses, night shift"}),
    "groups.change_group": Example(body={"name": "Nurses, all shifts"}),
    "groups.list_groups": Example(query={"limit": 20}),
    "groups.put_opt_in_page": Example(
        body={
            "title": "Text updates from Acme Nursing",
            "wording": "I agree to receive automated texts about shifts from Acme Nursing at this"
            " number. Up to 8 a month. Message and data rates may apply. Reply STOP to opt out,"
            " HELP for help.",
            "terms_url": "https://acme.example.com/terms",
            "slug": "acme-nursing",
            "sender_id": SENDER,
        }
    ),
    "groups.add_members": Example(body={"contact_ids": [OTHER_CONTACT]}),
    "groups.remove_members": Example(body={"contact_ids": [CONTACT]}),
    # Senders
    "senders.create_sender": Example(
        body={"name": "Recruiting", "phone": "+14155550177", "segments_per_second": 3}
    ),
    "senders.change_sender": Example(body={"segments_per_second": 10}),
    # Sequences
    "sequences.create_sequence": Example(
        body={
            "name": "Welcome",
            "sender_id": SENDER,
            "kind": "ongoing",
            "on_reply": "finish",
            "counts_as_reply": "human",
            "purpose": "informational",
            "reply_window_seconds": 604800,
            "send_window": {"mon": ["09:00", "20:00"], "tue": ["09:00", "20:00"]},
            "steps": [
                {"body": "Hi {{first_name|there}}, still looking?", "delay_seconds": 0},
                {"body": "Just checking in.", "delay_seconds": 172800, "at_time": "09:30"},
            ],
        }
    ),
    "sequences.list_sequences": Example(query={"state": ["active", "paused"]}),
    "sequences.change_sequence": Example(body={"name": "Welcome, 2027"}),
    "sequences.activate_sequence": Example(path={"sequence_id": DRAFT}),
    "sequences.resume_sequence": Example(path={"sequence_id": PAUSED_SEQUENCE}),
    "sequences.preview_steps": Example(
        body={"contact_id": CONTACT, "steps": [{"body": "Hi {{first_name|there}}!"}]}
    ),
    "sequences.archive_sequence": Example(body={"finish_active": True}),
    "sequences.list_templates": Example(query={"limit": 20}),
    "sequences.create_template": Example(
        body={
            "sequence_id": IDS["sequence_id"],
            "name": "Warehouse role: first contact",
            "description": "Say hello, then check in after two days.",
        }
    ),
    # Enrollments
    "enrollments.enrol": Example(body={"contact_ids": [OTHER_CONTACT]}),
    "enrollments.change_enrollment": Example(body={"variables": {"job_title": None}}),
    "enrollments.check_enrollments": Example(body={"numbers": ["+1 415 555 0123"]}),
    "enrollments.list_enrollments": Example(query={"contact_id": [CONTACT], "status": ["active"]}),
    "enrollments.release_enrollment": Example(body={"decision": "retry"}),
    "enrollments.list_contacts": Example(
        query={"outcome": "sent", "outcome_step": 1, "sort": "last_message_at", "live": True}
    ),
    "enrollments.add_to_group": Example(body={**_enrollments, "group_id": GROUP}),
    "enrollments.send_message": Example(body={**_enrollments, "body": "Are you free at five?"}),
    "enrollments.mark_finished": Example(body=_enrollments),
    "enrollments.pause": Example(body=_enrollments),
    "enrollments.resume": Example(body=_enrollments),
    "enrollments.release": Example(body={**_enrollments, "decision": "retry"}),
    # Suppressions
    "suppressions.create_suppression": Example(
        body={"contact_id": CONTACT, "reason": "Asked on the phone not to be texted"}
    ),
    "suppressions.import_suppressions": Example(
        query={"dry_run": True, "reason": "The former provider's list"},
        body="phone,reason\n+14155550123,Asked in a letter\n",
    ),
    "suppressions.list_suppressions": Example(query={"standing": True}),
    "suppressions.lift_suppression": Example(body={"reason": "Gave new consent in writing"}),
    # Reviews
    "reviews.list_reviews": Example(query={"decided": False, "limit": 20}),
    "reviews.decide_review": Example(body={"decision": "opt_out"}),
    # Pictures: a GIF of one pixel, in base64 here; on the wire it is sent as it is
    "media.upload_picture": Example(
        body={"file": "R0lGODdhAQABAIEAAP///wAAAAAAAAAAACwAAAAAAQABAAAIBAABBAQAOw=="}
    ),
    # Texts and conversations
    "conversations.list_conversations": Example(
        query={"state": ["needs_reply"], "owner": ["me", "none"], "group_id": [GROUP], "limit": 20}
    ),
    "conversations.change_conversation": Example(body={"state": "done"}),
    "conversations.list_unknown_numbers": Example(query={"search": "415", "limit": 20}),
    "conversations.change_unknown_number": Example(
        path={"message_id": UNKNOWN_MESSAGE}, body={"state": "done"}
    ),
    "conversations.list_messages_of_unknown_number": Example(path={"message_id": UNKNOWN_MESSAGE}),
    "messages.list_messages": Example(query={"sort": "created_at", "limit": 20}),
    "messages.create_message": Example(
        body={
            "body": "See you at nine, {{first_name|there}}",
            "media_urls": ["https://example.com/map.png"],
        }
    ),
    "messages.cancel_message": Example(path={"message_id": SCHEDULED_MESSAGE}),
    "messages.set_message_kind": Example(body={"kind": "human"}),
    "saved-replies.create_saved_reply": Example(
        body={"name": "Directions", "body": "We are at 12 Main St, {{first_name|see you soon}}"}
    ),
    "saved-replies.list_saved_replies": Example(query={"limit": 20}),
    "saved-replies.change_saved_reply": Example(body={"name": "How to find us"}),
    # The audit log
    "audit.list_audit_entries": Example(
        query={"action": "enrollment.finish", "from": "2026-01-01T00:00:00Z", "limit": 20}
    ),
    # Exports
    "messages.get_inbound_media": Example(path={"number": 1}, status=404),  # it has none
    "exports.export_contacts": Example(query={"search": "lee"}),
    "exports.export_enrollments": Example(query={"status": ["active"]}),
    "exports.export_suppressions": Example(query={"standing": True}),
    # Reports
    "reports.get_sequence_report": Example(
        query={"first_day": "2026-01-01", "last_day": "2026-12-31"}
    ),
    "reports.export_sequence_report": Example(query={"first_day": "2026-01-01"}),
    "reports.get_report": Example(query={"first_day": "2026-01-01"}),
    "reports.export_report": Example(query={"last_day": "2026-12-31"}),
    # Settings
    "settings.change_settings": Example(
        body={
            "time_zone": "America/Chicago",
            "hour_cycle": 24,
            "rule_packs": ["us", "us-fl", "us-tx"],
            "texts_per_day": 3,
        }
    ),
    # Events
    "events.list_events": Example(
        query={"after": IDS["event_id"], "type": ["enrollment.finished"], "limit": 20}
    ),
    "events.replay_events": Example(body={"after": IDS["event_id"]}),
    "events.create_event_endpoint": Example(
        body={
            "url": "https://crm.example.com/segue-events",
            "description": "Mirror of statuses",
            "types": ["enrollment.finished", "contact.opted_out"],
        }
    ),
    "events.change_event_endpoint": Example(body={"enabled": False}),
    "events.list_event_deliveries": Example(query={"state": "pending"}),
    # Users
    "session.sign_in": Example(
        body={"email": "admin@example.com", "password": "correct horse battery"}
    ),
    # The example has a token; with a session the answer is 204.
    "session.sign_out": Example(status=409),
    "users.change_own_password": Example(
        body={
            "current_password": "correct horse battery",
            "new_password": "a far longer horse battery",
        }
    ),
    "users.create_own_token": Example(body={"name": "My script", "scopes": ["read"]}),
    "users.get_own_token": Example(path={"token_id": OWN_TOKEN}),
    "users.revoke_own_token": Example(path={"token_id": OWN_TOKEN}),
    "users.create_user": Example(
        body={"email": "kim@example.com", "name": "Kim", "role": "member"}
    ),
    "users.change_user": Example(body={"role": "viewer"}),
    "users.create_set_up_link": Example(body={"revoke_tokens": True}),
    "users.create_token": Example(body={"name": "CRM"}),
}
"""By operation id; an operation that takes nothing but parameters of its path has none."""
