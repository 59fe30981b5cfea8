"""wrong tries

Revision: 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('wrong_tries',
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('wrong', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('since', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('wrong >= 0', name=op.f('ck_wrong_tries_wrong_not_negative')),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_wrong_tries'))
    )


def downgrade() -> None:
    op.drop_table('wrong_tries')
