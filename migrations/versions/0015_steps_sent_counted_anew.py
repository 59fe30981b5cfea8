"""steps sent counted anew

Revision: 0015, after 0014.
"""

from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None

# Texts reported undelivered are no longer *sent*; as storage.sending.SENT said when this was made.
COUNT_ANEW = """
    WITH undelivered AS (
        SELECT DISTINCT m.enrollment_id AS id
        FROM attempts a JOIN messages m ON m.id = a.message_id
        WHERE a.reported_failed AND m.step IS NOT NULL AND m.enrollment_id IS NOT NULL
    ), counted AS (
        SELECT u.id, coalesce((
            SELECT max(m.step) FROM messages m JOIN attempts a ON a.message_id = m.id
            WHERE m.enrollment_id = u.id AND a.outcome NOT IN ('refused', 'absent') AND (
                NOT a.reported_failed OR a.error_code IN (30008, 30410) OR (
                    a.provider_status = 'undelivered'
                    AND coalesce(a.error_code, 0) NOT IN (21610, 30004) AND EXISTS (
                        SELECT 1 FROM messages r
                        WHERE r.phone = m.phone AND r.direction = 'inbound'
                        AND r.occurred_at >= a.started_at
                    )
                )
            )
        ), 0) AS step
        FROM undelivered u
    )
    UPDATE enrollments e SET step = c.step FROM counted c
    WHERE e.id = c.id AND e.step <> c.step
"""


def upgrade() -> None:
    op.execute(COUNT_ANEW)


def downgrade() -> None:
    """Leave the counts: what they were before is not kept, and they do no harm."""
