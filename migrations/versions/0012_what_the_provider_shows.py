"""what the provider shows of texts, and texts that went out twice

Revision: 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('senders', sa.Column('shows_texts', sa.Boolean(), nullable=True))
    op.add_column('attempts', sa.Column('doubled_at', sa.DateTime(timezone=True), nullable=True))
    # Absences proven before are not looked at again: the provider's list does not go back for ever.
    op.execute("UPDATE attempts SET look_ups = 1 WHERE outcome = 'absent' AND look_ups = 0")
    op.create_index('ix_attempts_absent', 'attempts', ['answered_at'], unique=False, postgresql_where=sa.text("outcome = 'absent' AND absent_once_at IS NOT NULL AND look_ups = 0"))
    op.create_index('ix_attempts_doubled', 'attempts', ['doubled_at'], unique=False, postgresql_where=sa.text('doubled_at IS NOT NULL'))


def downgrade() -> None:
    op.drop_index('ix_attempts_doubled', table_name='attempts', postgresql_where=sa.text('doubled_at IS NOT NULL'))
    op.drop_index('ix_attempts_absent', table_name='attempts', postgresql_where=sa.text("outcome = 'absent' AND absent_once_at IS NOT NULL AND look_ups = 0"))
    op.drop_column('attempts', 'doubled_at')
    op.drop_column('senders', 'shows_texts')
