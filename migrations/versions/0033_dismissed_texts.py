"""which texts from unknown numbers were marked done

Revision: 0033, after 0032.

The statement is harmless when repeated. No values are written, so the table is locked for a moment
only. The release before goes on meanwhile; to it nothing was marked done.
"""

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute("ALTER TABLE messages ADD COLUMN IF NOT EXISTS dismissed_at timestamptz")


def downgrade() -> None:
    op.execute("ALTER TABLE messages DROP COLUMN dismissed_at")
