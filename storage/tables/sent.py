"""Which texts count as sent, and which as delivered: SQL conditions on attempts."""

_WROTE_SINCE = """EXISTS (
    SELECT 1 FROM messages r WHERE r.phone = m.phone AND r.direction = 'inbound'
    AND r.occurred_at >= a.started_at
)"""


SENT = f"""(
    a.outcome NOT IN ('refused', 'absent') AND (
        NOT a.reported_failed OR a.error_code IN (30008, 30410) OR (
            a.provider_status = 'undelivered'
            AND coalesce(a.error_code, 0) NOT IN (21610, 30004) AND {_WROTE_SINCE}
        )
    )
)"""
"""SQL: an attempt ``a`` at a text ``m`` not proven refused; a text is *sent* if it has one.

A later report of failure proves refusal too. Not if its code says that the text may have arrived
(30008, 30410), nor if the carrier said ``undelivered`` and the person has texted us since: carriers
err, and a text that may be an answer must end the enrollment. But ``failed`` and ``canceled`` never
left the provider, and what was blocked because the number had opted out (21610, 30004) went
nowhere.
"""


DELIVERED = f"(a.provider_status IN ('delivered', 'read') OR ({SENT} AND {_WROTE_SINCE}))"
"""SQL: an attempt ``a`` at a text ``m`` that was *delivered*.

Reported delivered or read, or the person has texted us since it was sent.
"""


_ANY_TEXT = """EXISTS (
    SELECT FROM messages m JOIN attempts a ON a.message_id = m.id
    WHERE m.enrollment_id = e.id AND {}
)"""

ANYTHING_SENT = _ANY_TEXT.format(SENT)
ANYTHING_DELIVERED = _ANY_TEXT.format(DELIVERED)
"""SQL: any text of an enrollment ``e``, one-offs included, was *sent*, or *delivered*."""


LAST_STEP_SENT = f"""coalesce((
    SELECT max(m.step) FROM messages m JOIN attempts a ON a.message_id = m.id
    WHERE m.enrollment_id = e.id AND {SENT}
), 0)"""  # noqa: S608 - built from constants
"""SQL: the last step of an enrollment ``e`` that was *sent*, 0 for none."""


LAST_SENT_AT = """(
    SELECT max(m.occurred_at) FROM messages m JOIN attempts a ON a.message_id = m.id
    WHERE m.enrollment_id = e.id AND m.step IS NOT NULL
    AND a.outcome IN ('accepted', 'assumed_sent') AND NOT a.reported_failed
)"""
"""SQL: when the latest step of an enrollment ``e`` that did not fail was accepted."""
