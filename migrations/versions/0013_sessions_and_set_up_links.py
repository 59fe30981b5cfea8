"""where sessions began, and links to set a password

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('sessions', sa.Column('address', sa.String(), nullable=True))
    op.add_column('sessions', sa.Column('user_agent', sa.String(), nullable=True))
    op.create_table(
        'set_up_links',
        sa.Column('user_id', sa.Uuid(), nullable=False),
        sa.Column('token_hash', sa.String(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_set_up_links_user_id')),
        sa.PrimaryKeyConstraint('user_id', name=op.f('pk_set_up_links')),
        sa.UniqueConstraint('token_hash', name=op.f('uq_set_up_links_token_hash')),
    )


def downgrade() -> None:
    op.drop_table('set_up_links')
    op.drop_column('sessions', 'user_agent')
    op.drop_column('sessions', 'address')
