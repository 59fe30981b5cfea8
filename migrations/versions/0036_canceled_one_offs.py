"""why one-off texts were canceled, when scheduled ones were written, what replies were written as

Revision: 0036, after 0028.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile: it cancels without a
reason, goes by when a text was stored where it does not know when that was written, and a reply
that it wrote is refused if this one is asked for it again.
"""

from alembic import op

revision = '0036'
down_revision = '0028'
branch_labels = None
depends_on = None

COLUMNS = (
    ('cancel_reason', 'varchar(32)'),
    ('written_at', 'timestamptz'),
    ('draft_hash', 'varchar'),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for column, kind in COLUMNS:
            op.execute(f'ALTER TABLE messages ADD COLUMN IF NOT EXISTS {column} {kind}')


def downgrade() -> None:
    for column, _kind in reversed(COLUMNS):
        op.execute(f'ALTER TABLE messages DROP COLUMN {column}')
