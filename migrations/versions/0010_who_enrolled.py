"""who enrolled

Revision: 0010, after 0009.
"""

from alembic import op

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index('ix_enrollments_user', 'enrollments', ['sequence_id', 'enrolled_by', 'enrolled_at', 'id'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_enrollments_user', table_name='enrollments')
