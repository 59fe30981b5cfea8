"""conversations that are done, one-off texts that are sent later

Revision: 0025, after 0024.

Each statement commits by itself and is harmless when repeated, so none holds a table's lock while
another is waited for. No column's values are written, so tables are locked for moments only; the
indexes are made while rows are written. The release before goes on meanwhile: a text that is to be
sent later waits by ``next_try_at``, which it knows, and whether a conversation is done is nothing
that it asks.
"""

from alembic import op

revision = '0025'
down_revision = '0024'
branch_labels = None
depends_on = None

COLUMNS = (('messages', 'send_at'), ('contacts', 'conversation_done_at'))

INDEXES = (
    (
        'ix_messages_asking',
        "messages (created_at, id) WHERE direction = 'inbound' AND keyword IS NULL"
        ' AND contact_id IS NOT NULL',
    ),
    ('ix_enrollment_search_enrolled', 'enrollment_search (enrolled_at, enrollment_id)'),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} timestamptz')
        for name, on in INDEXES:
            op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {name}')
            op.execute(f'CREATE INDEX CONCURRENTLY {name} ON {on}')


def downgrade() -> None:
    for name, _on in INDEXES:
        op.execute(f'DROP INDEX {name}')
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column}')
