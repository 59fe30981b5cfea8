"""catching up with the provider

Revision: 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('catch_up',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('fetched_until', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('missed_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reading_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('page', sa.String(), nullable=True),
    sa.Column('failures', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_try_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint('id = 1', name=op.f('ck_catch_up_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_catch_up'))
    )
    # From the last text that came on; the overlap reaches back before it.
    op.execute(
        "INSERT INTO catch_up (id, fetched_until)"
        " SELECT 1, coalesce(max(occurred_at), now()) FROM inbound_events"
    )
    op.add_column('attempts', sa.Column('look_ups', sa.Integer(), server_default='0', nullable=False))
    op.create_index('ix_attempts_unfinished', 'attempts', ['answered_at'], unique=False, postgresql_where=sa.text("outcome = 'accepted' AND NOT reported_failed AND look_ups < 6 AND provider_status NOT IN ('canceled', 'failed', 'undelivered', 'delivered', 'read')"))


def downgrade() -> None:
    op.drop_index('ix_attempts_unfinished', table_name='attempts')
    op.drop_column('attempts', 'look_ups')
    op.drop_table('catch_up')
