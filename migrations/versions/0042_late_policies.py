"""what becomes of a step that cannot go at its time, and which steps were skipped

Revision: 0042, after 0041.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile: its steps go whenever they
may, and it skips none.
"""

from alembic import op

revision = '0042'
down_revision = '0041'
branch_labels = None
depends_on = None

COLUMNS = (
    ('steps', "late varchar(32) NOT NULL DEFAULT 'send'"),
    ('steps', 'late_hours integer'),
    ('enrollments', "skipped jsonb NOT NULL DEFAULT '[]'"),
)
CHECKS = (
    ('steps', 'late_known', "late IN ('send', 'expire', 'skip')"),
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
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
