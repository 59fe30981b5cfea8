"""which rule packs bind, which each text went under, what next texts wait for

Revision: 0038, after 0037.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The index has no rows yet: making it keeps enrollments from being
changed while they are read once. The release before goes on meanwhile: the texts it sends say of no
pack that they went under it, and those it lets wait not what for.
"""

from alembic import op

revision = '0038'
down_revision = '0037'
branch_labels = None
depends_on = None

COLUMNS = (
    ('workspace', 'rule_packs jsonb'),
    ('attempts', "rule_packs jsonb NOT NULL DEFAULT '[]'"),
    ('enrollments', "waits_for varchar NOT NULL DEFAULT ''"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}')
        op.execute(
            'CREATE INDEX IF NOT EXISTS ix_enrollments_waits_for'
            " ON enrollments (sequence_id, enrolled_at, id) WHERE waits_for <> ''"
        )


def downgrade() -> None:
    op.execute('DROP INDEX ix_enrollments_waits_for')
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
