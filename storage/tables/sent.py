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
err, and a text that may be an answer stops what goes on. But ``failed`` and ``canceled`` never left
the provider, and what was blocked because the number had opted out (21610, 30004) went nowhere.
"""


DELIVERED = f"(a.provider_status IN ('delivered', 'read') OR ({SENT} AND {_WROTE_SINCE}))"
"""SQL: an attempt ``a`` at a text ``m`` that was *delivered*.

Reported delivered or read, or the person has texted us since it was sent.
"""
