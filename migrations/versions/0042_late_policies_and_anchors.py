"""what becomes of a step that cannot go at its time, steps that go by a date

Revision: 0042, after 0041.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile: its steps go whenever they
may, and it skips none. It must not run any more when the first step is saved that goes by a date.
"""

from alembic import op

revision = '0042'
down_revision = '0041'
branch_labels = None
depends_on = None

COLUMNS = (
    ('steps', "late varchar(32) NOT NULL DEFAULT 'send'"),
    ('steps', 'late_hours integer'),
    ('steps', 'anchor_key varchar'),
    ('steps', 'anchor_offset_seconds integer'),
    ('enrollments', "skipped jsonb NOT NULL DEFAULT '[]'"),
)
CHECKS = (
    ('steps', 'late_known', "late IN ('send', 'expire', 'skip')"),
    ('steps', 'delay_or_date', 'num_nonnulls(delay_seconds, send_at, anchor_key) = 1'),
    ('steps', 'time_needs_delay', 'at_time IS NULL OR send_at IS NULL'),
    ('steps', 'anchor_has_offset', '(anchor_key IS NULL) = (anchor_offset_seconds IS NULL)'),
    ('steps', 'expires_after_hours', "(late = 'expire') = (late_hours IS NOT NULL)"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}')
        for table, name, check in CHECKS:
            named = f'ck_{table}_{name}'
            op.execute(
                f'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {named},'
                f' ADD CONSTRAINT {named} CHECK ({check}) NOT VALID'
            )
            op.execute(f'ALTER TABLE {table} VALIDATE CONSTRAINT {named}')


def downgrade() -> None:
    op.execute('DELETE FROM steps WHERE anchor_key IS NOT NULL')
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
    op.execute(
        'ALTER TABLE steps DROP CONSTRAINT IF EXISTS ck_steps_time_needs_delay,'
        ' ADD CONSTRAINT ck_steps_time_needs_delay'
        ' CHECK (at_time IS NULL OR delay_seconds IS NOT NULL),'
        ' ADD CONSTRAINT ck_steps_delay_or_date CHECK ((delay_seconds IS NULL) <> (send_at IS NULL))'
    )
