"""the most texts that one person gets in 24 hours

Revision: 0041, after 0040.

Each statement commits by itself and is harmless when repeated. The column is empty, so the table is
locked for a moment only. The release before goes on meanwhile and knows no limit.
"""

from alembic import op

revision = '0041'
down_revision = '0040'
branch_labels = None
depends_on = None

NAME = 'ck_workspace_some_texts_per_day'


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE workspace ADD COLUMN IF NOT EXISTS texts_per_day integer')
        op.execute(f'ALTER TABLE workspace DROP CONSTRAINT IF EXISTS {NAME}')
        op.execute(f'ALTER TABLE workspace ADD CONSTRAINT {NAME} CHECK (texts_per_day > 0)')


def downgrade() -> None:
    op.execute('ALTER TABLE workspace DROP COLUMN texts_per_day')
