"""One example request for every route, as the OpenAPI document shows it and a test sends it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

CONTACT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0001"
OTHER_CONTACT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0002"
GROUP = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0003"
SENDER = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0004"
DRAFT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0005"
SEQUENCE = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0006"
PAUSED_SEQUENCE = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0007"
ENROLLMENT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0008"
USER = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0009"
TOKEN = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000a"  # noqa: S105 - a token's id
OWN_TOKEN = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000c"  # noqa: S105 - as above
SESSION = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000e"
SUPPRESSION = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000b"
REVIEW = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c000d"
EVENT_ENDPOINT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00e1"
EVENT = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c00e2"
JOB = "6f1e8a52-3c1f-4b8e-9a55-0d3f5b1c0020"


@dataclass(frozen=True)
class Example:
    """A request that is answered with `status`.

    Attributes:
        status: HTTP status of the answer.
        path: Values of the path's parameters.
        query: Values of query parameters.
        body: JSON body; None for none.
    """

    status: int = 200
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None


_contact = {"contact_id": CONTACT}
_group = {"group_id": GROUP}
_sender = {"sender_id": SENDER}
_sequence = {"sequence_id": SEQUENCE}
_enrollments = {"enrollment_ids": [ENROLLMENT]}
_user = {"user_id": USER}
_suppression = {"suppression_id": SUPPRESSION}
_review = {"message_id": REVIEW}
_endpoint = {"endpoint_id": EVENT_ENDPOINT}
_job = {"job_id": JOB}

EXAMPLES: Mapping[str, Example] = {
    # Work in the background
    "contacts.import_contacts": Example(
        202,
        query={"dry_run": True, "region": "US"},
        body="first_name,last_name,phone\nAda,Byron,+14155550123\n",
    ),
    "jobs.start_batch": Example(
        202,
        path=_sequence,
        body={"action": "pause", "filter": {"search": "lee", "status": ["active"]}},
    ),
    "jobs.list_jobs": Example(query={"mine": True, "state": ["queued", "running"], "limit": 20}),
    "jobs.get_job": Example(path=_job),
    "jobs.list_results": Example(path=_job, query={"code": ["paused"], "limit": 20}),
    "jobs.cancel_job": Example(path=_job),
    # Contacts
    "contacts.create_contact": Example(
        201,
        body={
            "first_name": "Ada",
            "last_name": "Byron",
            "phone": "+1 415 555 0123",
            "time_zone": "America/Los_Angeles",
        },
    ),
    "contacts.list_contacts": Example(query={"search": "lee", "sort": "-created_at", "limit": 20}),
    "contacts.get_contact": Example(path=_contact),
    "contacts.change_contact": Example(path=_contact, body={"time_zone": "America/Denver"}),
    "contacts.erase_contact": Example(204, path={"contact_id": OTHER_CONTACT}),
    # Groups
    "groups.create_group": Example(201, body={"name": "Nurses, night shift"}),
    "groups.list_groups": Example(query={"limit": 20}),
    "groups.get_group": Example(path=_group),
    "groups.delete_group": Example(204, path=_group),
    "groups.list_members": Example(path=_group),
    "groups.add_members": Example(path=_group, body={"contact_ids": [OTHER_CONTACT]}),
    "groups.remove_members": Example(path=_group, body={"contact_ids": [CONTACT]}),
    # Senders
    "senders.create_sender": Example(
        201, body={"name": "Recruiting", "phone": "+14155550177", "segments_per_second": 3}
    ),
    "senders.list_senders": Example(),
    "senders.get_sender": Example(path=_sender),
    "senders.change_sender": Example(path=_sender, body={"segments_per_second": 10}),
    "senders.release_sender": Example(path=_sender),
    # Sequences
    "sequences.create_sequence": Example(
        201,
        body={
            "name": "Welcome",
            "sender_id": SENDER,
            "kind": "ongoing",
            "on_reply": "finish",
            "reply_window_seconds": 604800,
            "send_window": {"mon": ["09:00", "20:00"], "tue": ["09:00", "20:00"]},
            "steps": [
                {"body": "Hi {{first_name|there}}, still looking?", "delay_seconds": 0},
                {"body": "Just checking in.", "delay_seconds": 172800, "at_time": "09:30"},
            ],
        },
    ),
    "sequences.list_sequences": Example(query={"state": ["active", "paused"]}),
    "sequences.get_sequence": Example(path=_sequence),
    "sequences.change_sequence": Example(path=_sequence, body={"name": "Welcome, 2027"}),
    "sequences.activate_sequence": Example(path={"sequence_id": DRAFT}),
    "sequences.pause_sequence": Example(path=_sequence),
    "sequences.resume_sequence": Example(path={"sequence_id": PAUSED_SEQUENCE}),
    "sequences.archive_sequence": Example(path=_sequence, body={"finish_active": True}),
    # Enrollments
    "enrollments.enrol": Example(202, path=_sequence, body={"contact_ids": [OTHER_CONTACT]}),
    "enrollments.list_contacts": Example(
        path=_sequence,
        query={"outcome": "sent", "outcome_step": 1, "sort": "last_message_at", "live": True},
    ),
    "enrollments.get_enrollment": Example(path={"enrollment_id": ENROLLMENT}),
    "enrollments.add_to_group": Example(body={**_enrollments, "group_id": GROUP}),
    "enrollments.send_message": Example(body={**_enrollments, "body": "Are you free at five?"}),
    "enrollments.mark_finished": Example(body=_enrollments),
    "enrollments.pause": Example(body=_enrollments),
    "enrollments.resume": Example(body=_enrollments),
    "enrollments.release": Example(body={**_enrollments, "decision": "retry"}),
    # Suppressions
    "suppressions.create_suppression": Example(
        201, body={"contact_id": CONTACT, "reason": "Asked on the phone not to be texted"}
    ),
    "suppressions.import_suppressions": Example(
        202,
        query={"dry_run": True, "reason": "The former provider's list"},
        body="phone,reason\n+14155550123,Asked in a letter\n",
    ),
    "suppressions.list_suppressions": Example(query={"standing": True}),
    "suppressions.get_suppression": Example(path=_suppression),
    "suppressions.lift_suppression": Example(
        path=_suppression, body={"reason": "Gave new consent in writing"}
    ),
    # Reviews
    "reviews.list_reviews": Example(query={"decided": False, "limit": 20}),
    "reviews.get_review": Example(path=_review),
    "reviews.decide_review": Example(path=_review, body={"decision": "opt_out"}),
    # The audit log
    "audit.list_audit_entries": Example(
        query={"action": "enrollment.finish", "from": "2026-01-01T00:00:00Z", "limit": 20}
    ),
    # Exports
    "exports.export_contacts": Example(query={"search": "lee"}),
    "exports.export_enrollments": Example(path=_sequence, query={"status": "active"}),
    "exports.export_suppressions": Example(query={"standing": True}),
    # Settings
    "settings.get_settings": Example(),
    "settings.change_settings": Example(body={"time_zone": "America/Chicago", "hour_cycle": 24}),
    # Event endpoints
    "events.create_event_endpoint": Example(
        201,
        body={
            "url": "https://crm.example.com/segue-events",
            "description": "Mirror of statuses",
            "types": ["enrollment.finished", "contact.opted_out"],
        },
    ),
    "events.list_event_endpoints": Example(),
    "events.get_event_endpoint": Example(path=_endpoint),
    "events.change_event_endpoint": Example(path=_endpoint, body={"enabled": False}),
    "events.remove_event_endpoint": Example(204, path=_endpoint),
    "events.rotate_event_secret": Example(path=_endpoint),
    "events.test_event_endpoint": Example(202, path=_endpoint),
    "events.list_event_deliveries": Example(path=_endpoint, query={"state": "pending"}),
    "events.retry_event_delivery": Example(202, path={**_endpoint, "event_id": EVENT}),
    # Users
    "session.sign_in": Example(
        body={"email": "admin@example.com", "password": "correct horse battery"}
    ),
    "session.get_session": Example(),
    # The example has a token; with a session the answer is 204.
    "session.sign_out": Example(409),
    "users.get_me": Example(),
    "users.change_own_password": Example(
        204,
        body={
            "current_password": "correct horse battery",
            "new_password": "a far longer horse battery",
        },
    ),
    "users.list_own_sessions": Example(),
    "users.end_other_sessions": Example(204),
    "users.end_own_session": Example(204, path={"session_id": SESSION}),
    "users.create_own_token": Example(201, body={"name": "My script", "scopes": ["read"]}),
    "users.list_own_tokens": Example(),
    "users.revoke_own_token": Example(204, path={"token_id": OWN_TOKEN}),
    "users.create_user": Example(
        201, body={"email": "kim@example.com", "name": "Kim", "role": "member"}
    ),
    "users.list_users": Example(),
    "users.get_user": Example(path=_user),
    "users.change_user": Example(path=_user, body={"role": "viewer"}),
    "users.create_set_up_link": Example(201, path=_user, body={"revoke_tokens": True}),
    "users.create_token": Example(201, path=_user, body={"name": "CRM"}),
    "users.list_tokens": Example(path=_user),
    "users.revoke_token": Example(204, path={**_user, "token_id": TOKEN}),
}
"""By operation id."""
