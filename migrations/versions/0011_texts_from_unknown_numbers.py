"""texts from unknown numbers

Revision: 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_messages_unknown', 'messages', ['created_at', 'id'], unique=False, postgresql_where=sa.text('contact_id IS NULL'))
    # What came from a number before its contact was added is theirs from now on.
    op.execute(
        """
        UPDATE messages SET contact_id = contacts.id FROM contacts
        WHERE messages.contact_id IS NULL AND contacts.phone = messages.phone
        """
    )


def downgrade() -> None:
    op.drop_index('ix_messages_unknown', table_name='messages', postgresql_where=sa.text('contact_id IS NULL'))
