"""two secrets of an endpoint for a day, its rest, deliveries that begin anew

Revision: 0026, after 0025.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile: it knows none of the
columns.
"""

from alembic import op

revision = '0026'
down_revision = '0025'
branch_labels = None
depends_on = None

COLUMNS = (
    ('event_endpoints', 'previous_secret varchar'),
    ('event_endpoints', 'previous_secret_until timestamptz'),
    ('event_endpoints', 'rests_until timestamptz'),
    ('event_deliveries', 'queued_at timestamptz NOT NULL DEFAULT now()'),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}')


def downgrade() -> None:
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
