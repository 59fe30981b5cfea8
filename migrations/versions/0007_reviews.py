"""reviews

Revision: 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('reviews',
    sa.Column('message_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('decision', sa.String(32), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('decided_by', sa.Uuid(), nullable=True),
    sa.CheckConstraint("decision IN ('opt_out', 'not_an_opt_out')", name=op.f('ck_reviews_decision_known')),
    sa.CheckConstraint('(decision IS NULL) = (decided_at IS NULL) AND (decision IS NULL) = (decided_by IS NULL)', name=op.f('ck_reviews_decided_by_somebody')),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('fk_reviews_message_id')),
    sa.ForeignKeyConstraint(['decided_by'], ['users.id'], name=op.f('fk_reviews_decided_by')),
    sa.PrimaryKeyConstraint('message_id', name=op.f('pk_reviews'))
    )
    op.create_index('ix_reviews_list', 'reviews', ['created_at', 'message_id'], unique=False)
    op.create_index('ix_reviews_open', 'reviews', ['created_at', 'message_id'], unique=False, postgresql_where=sa.text('decision IS NULL'))


def downgrade() -> None:
    op.drop_table('reviews')
