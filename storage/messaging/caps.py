"""SQL: how many texts a number had in 24 hours, for the caps on them."""

from domain.sequences.rule_packs import CAPPED
from storage.tables.sent import SENT

_TEXTS = f"""
    SELECT a.call_before AS at FROM messages m JOIN attempts a ON a.message_id = m.id
    WHERE m.phone = {{phone}} AND m.direction = 'outbound'
    AND a.call_before > clock_timestamp() - interval '24 hours' AND {SENT}
"""  # noqa: S608 - built from constants

_AHEAD = """
    SELECT o.next_send_at FROM enrollments o
    WHERE o.contact_id = e.contact_id AND o.status = 'active' AND o.activity = 'waiting'
    AND o.next_send_at <= clock_timestamp() AND (o.due_at, o.id) < (e.due_at, e.id)
"""

_CAPPED = ", ".join(f"'{purpose}'" for purpose in sorted(CAPPED))
_MOST = "(SELECT w.texts_per_day FROM workspace w WHERE w.id = 1)"

RECENT = f"""
    CASE WHEN q.purpose IN ({_CAPPED}) OR {_MOST} IS NOT NULL
        THEN ARRAY({_TEXTS.format(phone="c.phone")} UNION ALL {_AHEAD})
        ELSE '{{}}'
    END
"""
"""SQL: when the texts went that count with the next one of an enrollment ``e``; see ``NextText``.

Each text of a day that is not proven refused, from any sequence or a person, as of the latest
moment at which its call may have begun. Then those that are due as well, by a step that was due
before: of several sequences' texts to one person the earlier due goes first. Nothing is read where
nothing can be capped.
"""


def over_cap(phone: str) -> str:
    """SQL: a number had as many texts as the workspace lets one person have in a day."""
    return f"({_MOST} <= (SELECT count(*) FROM ({_TEXTS.format(phone=phone)}) texts)) IS TRUE"  # noqa: S608 - a name written in this repository
