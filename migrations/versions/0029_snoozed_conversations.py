"""an index of the conversations that are snoozed

Revision: 0029, after 0028.

The index is made while rows are written, and made anew if an earlier try broke off. A snoozed
conversation is one that is done as well (``conversation_done_at``): the release before shows it as
that until it comes back.
"""

from alembic import op

revision = '0029'
down_revision = '0028'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute('DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_snoozed')
        op.execute(
            'CREATE INDEX CONCURRENTLY ix_contacts_snoozed ON contacts (conversation_snoozed_until)'
            ' WHERE conversation_snoozed_until IS NOT NULL'
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute('DROP INDEX CONCURRENTLY IF EXISTS ix_contacts_snoozed')
