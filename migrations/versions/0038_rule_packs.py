"""which rule packs bind, and which each text went under

Revision: 0038, after 0037.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile: the texts it sends say of
no pack that they went under it.
"""

from alembic import op

revision = '0038'
down_revision = '0037'
branch_labels = None
depends_on = None

COLUMNS = (
    ('workspace', 'rule_packs jsonb'),
    ('attempts', "rule_packs jsonb NOT NULL DEFAULT '[]'"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}')


def downgrade() -> None:
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
