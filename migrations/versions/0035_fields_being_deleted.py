"""fields whose values are being deleted

Revision: 0035, after 0032.

The statement is harmless when repeated, and locks a small table for a moment. The release before
goes on meanwhile, and shows a field that is being deleted until its values are gone.
"""

from alembic import op

revision = '0035'
down_revision = '0034'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute('ALTER TABLE contact_fields ADD COLUMN IF NOT EXISTS removed_at timestamptz')


def downgrade() -> None:
    op.execute(
        'UPDATE contacts SET fields = fields - ARRAY('
        'SELECT CAST(key AS text) FROM contact_fields WHERE removed_at IS NOT NULL)'
        ' WHERE EXISTS (SELECT FROM contact_fields f'
        ' WHERE f.removed_at IS NOT NULL AND jsonb_exists(contacts.fields, f.key))'
    )
    op.execute('DELETE FROM contact_fields WHERE removed_at IS NOT NULL')
    op.execute("DELETE FROM wakes WHERE kind = 'field_removed'")
    op.drop_column('contact_fields', 'removed_at')
