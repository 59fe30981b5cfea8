"""figures and conversations

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index('ix_enrollments_counts', table_name='enrollments')
    op.create_index('ix_enrollments_counts', 'enrollments', ['sequence_id', 'status', 'step'], unique=False)
    op.create_index('ix_messages_contact', 'messages', ['contact_id', 'created_at', 'id'], unique=False)
    op.drop_index('ix_messages_contact_id', table_name='messages')
    op.create_index('ix_messages_created', 'messages', ['created_at', 'id'], unique=False)
    op.create_index('ix_messages_inbound', 'messages', ['phone', 'occurred_at'], unique=False, postgresql_where=sa.text("direction = 'inbound'"))


def downgrade() -> None:
    op.drop_index('ix_messages_inbound', table_name='messages', postgresql_where=sa.text("direction = 'inbound'"))
    op.drop_index('ix_messages_created', table_name='messages')
    op.create_index('ix_messages_contact_id', 'messages', ['contact_id'], unique=False)
    op.drop_index('ix_messages_contact', table_name='messages')
    op.drop_index('ix_enrollments_counts', table_name='enrollments')
    op.create_index('ix_enrollments_counts', 'enrollments', ['sequence_id', 'status'], unique=False)
