"""why one-off texts were canceled, when scheduled ones were written

Revision: 0036, after 0028.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile: it cancels without a
reason, and goes by when a text was stored where it does not know when that was written.
"""

from alembic import op

revision = "0036"
down_revision = "0028"
branch_labels = None
depends_on = None

COLUMNS = (
    ("messages", "cancel_reason", "varchar(32)"),
    ("messages", "written_at", "timestamptz"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column, kind in COLUMNS:
            op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} {kind}")


def downgrade() -> None:
    for table, column, _kind in reversed(COLUMNS):
        op.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
