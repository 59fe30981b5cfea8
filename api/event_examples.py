"""An example of each event, as the OpenAPI document shows it."""

from collections.abc import Mapping
from typing import Any

from api.examples import CONTACT, ENROLLMENT, IDS, SENDER
from api.schemas.events import DATA
from domain.event_webhooks.events import EventType

_AT = "2026-11-28T23:52:29.958Z"
_BEFORE = "2026-11-26T17:30:00.412Z"

_OF_FIELD: Mapping[str, Any] = {
    "about_message_id": None,
    "change": "updated",
    "contact_id": CONTACT,
    "counts": {"created": 118, "exists": 2},
    "created_at": _BEFORE,
    "done": 120,
    "dry_run": False,
    "due_at": _AT,
    "ended_at": _AT,
    "ended_by": None,
    "endpoint_id": IDS["endpoint_id"],
    "enrolled_at": _BEFORE,
    "enrolled_by": IDS["user_id"],
    "enrollment_id": ENROLLMENT,
    "enrollment_ids": [ENROLLMENT],
    "error": None,
    "error_code": None,
    "external_id": "candidate-4711",
    "fields": ["last_name", "phone"],
    "held_reason": None,
    "is_reply": True,
    "job_id": IDS["job_id"],
    "keyword": None,
    "kind": "human",
    "message_id": IDS["message_id"],
    "missing_fields": [],
    "paused_at": None,
    "probing": False,
    "received_at": _AT,
    "replied_at": None,
    "send_at": _AT,
    "sender_id": SENDER,
    "sent_at": _AT,
    "sequence_id": IDS["sequence_id"],
    "sequence_ids": [IDS["sequence_id"]],
    "source": "keyword",
    "started_by": IDS["user_id"],
    "state": "done",
    "step": 2,
    "step_count": 3,
    "total": 120,
    "was": "auto_reply",
}

_OF_TYPE: Mapping[EventType, Mapping[str, Any]] = {
    EventType.ENROLLMENT_CREATED: {"status": "active"},
    EventType.ENROLLMENT_FINISHED: {"status": "finished_responded", "replied_at": _AT},
    EventType.ENROLLMENT_HELD: {
        "reason": "sender_on_hold",
        "error_code": 20003,
        "missing_fields": [],
    },
    EventType.ENROLLMENT_RELEASED: {"reason": "sender_on_hold"},
    EventType.ENROLLMENT_PAUSED: {"reason": "replied", "paused_at": _AT, "replied_at": _AT},
    EventType.ENROLLMENT_REPLIED_LATE: {
        "status": "finished_no_response",
        "replied_late_at": _AT,
        "ended_at": _BEFORE,
    },
    EventType.MESSAGE_FAILED: {
        "error_code": 30003,
        "meaning": "The phone is off or out of coverage.",
    },
    EventType.MESSAGE_CANCELED: {
        "enrollment_id": None,
        "sequence_id": None,
        "reason": "by_hand",
    },
    EventType.MESSAGE_RECEIVED: {"enrollment_id": None, "sequence_id": None},
    EventType.MESSAGE_KIND_CHANGED: {"enrollment_id": None, "sequence_id": None},
    EventType.CONTACT_OPTED_OUT: {"sender_id": None},
    EventType.CONTACT_OPTED_IN: {"sender_id": None},
    EventType.JOB_FINISHED: {"kind": "import_contacts", "sequence_id": None},
}


def event(kind: EventType) -> dict[str, Any]:
    """Give an example of an event of this type, as it is posted."""
    values = {**_OF_FIELD, **_OF_TYPE.get(kind, {})}
    data = {name: values[name] for name in DATA[kind].model_fields}
    return {"type": kind.value, "timestamp": _AT, "data": data}
