"""what sequences are for, and where contacts live

Revision: 0037, after 0035.

Each statement commits by itself and is harmless when repeated. No column's values are written, so
tables are locked for moments only. The release before goes on meanwhile: what it writes is
informational, and its contacts live where number and time zone say.
"""

from alembic import op

revision = '0037'
down_revision = '0036'
branch_labels = None
depends_on = None

COLUMNS = (
    ('sequences', "purpose varchar(32) NOT NULL DEFAULT 'informational'"),
    ('contacts', 'country varchar'),
    ('contacts', 'state varchar'),
    ('contacts', 'postal_code varchar'),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, column in COLUMNS:
            op.execute(f'ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column}')
        op.execute(
            'ALTER TABLE sequences DROP CONSTRAINT IF EXISTS ck_sequences_purpose_known,'
            ' ADD CONSTRAINT ck_sequences_purpose_known CHECK'
            " (purpose IN ('transactional', 'informational', 'marketing')) NOT VALID"
        )
        op.execute('ALTER TABLE sequences VALIDATE CONSTRAINT ck_sequences_purpose_known')


def downgrade() -> None:
    for table, column in reversed(COLUMNS):
        op.execute(f'ALTER TABLE {table} DROP COLUMN {column.split()[0]}')
