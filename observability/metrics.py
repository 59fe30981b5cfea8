"""The metrics: names, labels and buckets. Labels are codes, never ids or people.

They are counted whether or not anybody scrapes them; an observation takes about a microsecond.
"""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the series

_LAG_BUCKETS = (0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 14_400)
_CALL_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 8, 13)
_HTTP_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10)

SENDS = Counter(
    "segue_sends",
    "Answers to attempts at a text. reason: what a refusal does (an Effect), else empty",
    ["outcome", "reason"],
)
SEND_LAG = Histogram(
    "segue_send_lag_seconds",
    "From when a text was due to when the provider had accepted it",
    buckets=_LAG_BUCKETS,
)
PROVIDER_CALL = Histogram(
    "segue_provider_call_seconds",
    "How long the provider took to answer one call",
    buckets=_CALL_BUCKETS,
)

HTTP_REQUESTS = Counter(
    "segue_http_requests", "Requests answered, by route template", ["method", "route", "status"]
)
HTTP_SECONDS = Histogram(
    "segue_http_request_seconds",
    "How long requests took, by route template",
    ["method", "route"],
    buckets=_HTTP_BUCKETS,
)
WEBHOOK_SECONDS = Histogram(
    "segue_webhook_seconds",
    "How long the provider's webhooks took. "
    " result: stored, refused (4xx), failed (5xx) or gone (disconnected before the answer)",
    ["kind", "result"],
    buckets=_HTTP_BUCKETS,
)

for _kind in ("inbound", "status"):
    for _result in ("stored", "refused", "failed", "gone"):
        WEBHOOK_SECONDS.labels(_kind, _result)  # present from the start: the first failure counts

SWEEP_FINDINGS = Counter("segue_sweep_findings", "What sweeps found and repaired", ["kind"])
SWEEP_FAILURES = Counter("segue_sweep_failures", "Parts of sweeps that failed", ["part"])
SECOND_READINGS = Counter(
    "segue_second_readings", "Texts that the second reader has answered about"
)
SWEEP_FINISHED = Gauge(
    "segue_sweep_finished_timestamp_seconds", "When this process last finished a sweep"
)
CURRENT_BUILD = Gauge(
    "segue_worker_build_is_current",
    "Whether this worker's build is the one that gets work",
    ["build"],
)
EVENT_DELIVERIES = Counter(
    "segue_event_deliveries", "Attempted deliveries to event endpoints", ["result"]
)

# The state of the whole deployment: the same from every process, so take the maximum.

PART_UP = Gauge("segue_part_up", "Whether a required part answers", ["part"])
HELD = Gauge("segue_held_enrollments", "Enrollments held, by why", ["reason"])
SENDERS_ON_HOLD = Gauge("segue_senders_on_hold", "Senders on hold")
OVERDUE = Gauge(
    "segue_overdue_enrollments", "Active enrollments 5 minutes past their next event, not held"
)
OUTBOX_ENTRIES = Gauge("segue_outbox_entries", "Outbox entries that Temporal has not been told yet")
OUTBOX_AGE = Gauge("segue_outbox_oldest_age_seconds", "Age of the oldest of these entries")
OUTBOX_PARKED = Gauge(
    "segue_outbox_parked", "Outbox entries that wait for a person to retry them", ["kind"]
)
FETCH_LAG = Gauge(
    "segue_inbound_fetch_lag_seconds",
    "Age of the moment up to which the backfill has fetched inbound texts",
)
UNAPPLIED = Gauge(
    "segue_unapplied_inbound",
    "Stored texts and reports of the provider that are not applied yet",
    ["kind"],
)
UNRECONCILED = Gauge("segue_unsettled_attempts", "Attempts whose outcome is not known yet")
DOUBLED = Gauge(
    "segue_texts_doubled_total",
    "Texts that went out twice: one declared absent turned out to be at the provider",
)
WAITING_EVENTS = Gauge(
    "segue_waiting_event_deliveries", "Events not delivered to an endpoint yet, nor given up"
)
QUEUE_BACKLOG = Gauge(
    "segue_task_queue_backlog", "Tasks that wait in Temporal for a worker", ["queue", "type"]
)
QUEUE_AGE = Gauge(
    "segue_task_queue_backlog_age_seconds", "How long the oldest has waited", ["queue", "type"]
)
