"""outbox order and lists per number

Revision: 0014, after 0013.
"""

import sqlalchemy as sa
from alembic import op

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('outbox', sa.Column('priority', sa.SmallInteger(), server_default='2', nullable=False))
    op.add_column('outbox', sa.Column('parked_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('outbox', sa.Column('parked_reason', sa.String(), nullable=True))
    op.create_check_constraint('parked_reason_known', 'outbox', "parked_reason IN ('unknown_kind', 'refused', 'broken')")
    op.create_check_constraint('parked_has_reason', 'outbox', '(parked_at IS NULL) = (parked_reason IS NULL)')
    op.drop_index('ix_outbox_next_try_at', table_name='outbox')
    op.create_index('ix_outbox_due', 'outbox', ['priority', 'id'], unique=False, postgresql_where=sa.text('parked_at IS NULL'))
    op.create_index('ix_outbox_parked', 'outbox', ['kind'], unique=False, postgresql_where=sa.text('parked_at IS NOT NULL'))
    op.create_index('ix_outbox_wakes', 'outbox', ['subject_id', sa.text("(payload ->> 'by')")], unique=False, postgresql_where=sa.text("kind = 'wake_events'"))
    op.create_table(
        'catch_up_lists',
        sa.Column('phone', sa.String(), nullable=False),
        sa.Column('fetched_until', sa.DateTime(timezone=True), nullable=False),
        sa.Column('reading_until', sa.DateTime(timezone=True), nullable=True),
        sa.Column('page', sa.String(), nullable=True),
        sa.Column('failures', sa.Integer(), server_default='0', nullable=False),
        sa.Column('next_try_at', sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint('phone', name=op.f('pk_catch_up_lists')),
    )


def downgrade() -> None:
    op.drop_table('catch_up_lists')
    op.drop_index('ix_outbox_wakes', table_name='outbox', postgresql_where=sa.text("kind = 'wake_events'"))
    op.drop_index('ix_outbox_parked', table_name='outbox', postgresql_where=sa.text('parked_at IS NOT NULL'))
    op.drop_index('ix_outbox_due', table_name='outbox', postgresql_where=sa.text('parked_at IS NULL'))
    op.create_index('ix_outbox_next_try_at', 'outbox', ['next_try_at', 'id'], unique=False)
    op.drop_constraint('parked_has_reason', 'outbox', type_='check')
    op.drop_constraint('parked_reason_known', 'outbox', type_='check')
    op.drop_column('outbox', 'parked_reason')
    op.drop_column('outbox', 'parked_at')
    op.drop_column('outbox', 'priority')
