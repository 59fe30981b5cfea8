"""why one-off texts were canceled, when scheduled ones were written, what replies were written as;
removed event endpoints; indexes of enrollments that ended and that miss data

Revision: 0032, after 0031.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only; the indexes are made while rows are written. The release before
goes on meanwhile: it cancels without a reason, goes by when a text was stored where it does not
know when that was written, and shows a removed endpoint as a disabled one; a reply that it wrote is
refused if this one is asked for it again.
"""

from alembic import op

revision = '0032'
down_revision = '0031'
branch_labels = None
depends_on = None

COLUMNS = (
    ('messages', 'cancel_reason', 'varchar'),
    ('messages', 'written_at', 'timestamptz'),
    ('messages', 'draft_hash', 'varchar'),
    ('event_endpoints', 'removed_at', 'timestamptz'),
)

INDEXES = (
    (
        'ix_enrollments_missing_data',
        "enrollments (contact_id) WHERE held_reason = 'missing_data'",
    ),
    (
        'ix_enrollments_ended',
        "enrollments (status, enrolled_at, id) WHERE status <> 'active'",
    ),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column, kind in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {kind}')
        for name, on in INDEXES:
            op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {name}')
            op.execute(f'CREATE INDEX CONCURRENTLY {name} ON {on}')


def downgrade() -> None:
    for name, _on in INDEXES:
        op.execute(f'DROP INDEX {name}')
    for table, column, _kind in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
