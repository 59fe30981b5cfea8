"""former phones and moving zones

Revision: 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('former_phones',
    sa.Column('contact_id', sa.Uuid(), nullable=False),
    sa.Column('phone', sa.String(), nullable=False),
    sa.ForeignKeyConstraint(['contact_id'], ['contacts.id'], name=op.f('fk_former_phones_contact_id_contacts')),
    sa.PrimaryKeyConstraint('contact_id', 'phone', name=op.f('pk_former_phones'))
    )
    op.add_column('workspace', sa.Column('moving_from', sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column('workspace', 'moving_from')
    op.drop_table('former_phones')
