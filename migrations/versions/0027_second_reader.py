"""texts that a second reader is asked about, why a review was opened

Revision: 0027, after 0026.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile. It has to be gone before
a second reader is set: it cannot erase a contact whose text waits to be read.
"""

from alembic import op

revision = '0027'
down_revision = '0026'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE reviews ADD COLUMN IF NOT EXISTS reason varchar')
        op.execute(
            'CREATE TABLE IF NOT EXISTS second_readings ('
            ' message_id uuid NOT NULL,'
            ' tries integer NOT NULL DEFAULT 0,'
            ' next_try_at timestamptz NOT NULL DEFAULT now(),'
            ' CONSTRAINT pk_second_readings PRIMARY KEY (message_id),'
            ' CONSTRAINT fk_second_readings_message_id'
            ' FOREIGN KEY (message_id) REFERENCES messages (id))'
        )
        op.execute(
            'CREATE INDEX IF NOT EXISTS ix_second_readings_due ON second_readings (next_try_at)'
        )


def downgrade() -> None:
    op.execute('DROP TABLE second_readings')
    op.execute('ALTER TABLE reviews DROP COLUMN reason')
