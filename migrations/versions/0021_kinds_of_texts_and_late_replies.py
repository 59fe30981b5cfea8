"""kinds of inbound texts, late replies, pauses for a reply

Revision: 0021, after 0020.

Each statement commits by itself and is harmless when repeated, so none holds a table's lock while
another is waited for. No column's values are written, so tables are locked for moments only; the
checks on large tables are validated afterwards, which keeps nobody from writing. The index has no
rows yet: making it keeps enrollments from being changed while they are read once. The release
before goes on meanwhile: it writes texts without a kind.
"""

from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

COLUMNS = (
    ('sequences', "counts_as_reply varchar(32) NOT NULL DEFAULT 'human'"),
    ('enrollments', 'replied_late_at timestamptz'),
    ('enrollments', 'paused_reason varchar(32)'),
    ('messages', 'kind varchar(32)'),
    ('messages', 'about_id uuid'),
)


def known(table: str, column: str, *codes: str) -> None:
    """Check that a column holds one of these codes, also in rows that are there already."""
    name, listed = f'ck_{table}_{column}_known', ', '.join(f"'{one}'" for one in codes)
    op.execute(
        f'ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {name},'
        f' ADD CONSTRAINT {name} CHECK ({column} IN ({listed})) NOT VALID'
    )
    op.execute(f'ALTER TABLE {table} VALIDATE CONSTRAINT {name}')


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}')
        known('sequences', 'on_reply', 'finish', 'continue', 'pause')
        known('sequences', 'counts_as_reply', 'human', 'any')
        known('enrollments', 'paused_reason', 'by_hand', 'replied')
        known('messages', 'kind', 'human', 'reaction', 'auto_reply')
        op.execute(
            'CREATE INDEX IF NOT EXISTS ix_enrollments_replied_late'
            ' ON enrollments (sequence_id, enrolled_at, id) WHERE replied_late_at IS NOT NULL'
        )


def downgrade() -> None:
    op.execute('DROP INDEX ix_enrollments_replied_late')
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
    op.execute("UPDATE sequences SET on_reply = 'finish' WHERE on_reply = 'pause'")
    known('sequences', 'on_reply', 'finish', 'continue')
