"""what the sweep looks for every minute

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_inbound_events_erased', 'inbound_events', ['occurred_at'], unique=False, postgresql_where=sa.text("phone = ''"))
    op.create_index('ix_messages_one_offs', 'messages', ['created_at'], unique=False, postgresql_where=sa.text("direction = 'outbound' AND step IS NULL"))


def downgrade() -> None:
    op.drop_index('ix_messages_one_offs', table_name='messages', postgresql_where=sa.text("direction = 'outbound' AND step IS NULL"))
    op.drop_index('ix_inbound_events_erased', table_name='inbound_events', postgresql_where=sa.text("phone = ''"))
