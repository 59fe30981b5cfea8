"""when the provider last showed a sender's text

Revision: 0018, after 0017.
"""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('senders', sa.Column('shows_texts_at', sa.DateTime(timezone=True), nullable=True))
    op.execute('UPDATE senders SET shows_texts_at = now() WHERE shows_texts IS NOT NULL')


def downgrade() -> None:
    op.drop_column('senders', 'shows_texts_at')
