"""what holds up under load

Revision: 0017, after 0016.

It writes enrollments and attempts anew, which keeps them locked: some seconds for a million.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None

BLOCKED = "activity IN ('paused', 'held')"
UNFINISHED = (
    "outcome = 'accepted' AND NOT reported_failed AND look_ups < 6 AND provider_status"
    " NOT IN ('canceled', 'failed', 'undelivered', 'delivered', 'read')"
)


def upgrade() -> None:
    op.create_table('wakes',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('subject_id', sa.Uuid(), nullable=False),
    sa.Column('place', postgresql.JSONB(none_as_null=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_wakes')),
    )
    # A row's new version finds room beside the old one, so that no index has to hear of it.
    op.execute('ALTER TABLE enrollments SET (fillfactor = 80)')
    op.execute('ALTER TABLE messages SET (fillfactor = 75)')
    op.execute('ALTER TABLE attempts SET (fillfactor = 75)')
    op.drop_index('ix_enrollments_blocked', table_name='enrollments')
    op.drop_index('ix_attempts_unfinished', table_name='attempts')
    op.drop_index('ix_messages_inbound', table_name='messages')
    op.drop_index('ix_messages_opt_in', table_name='messages')
    op.add_column('enrollments', sa.Column('blocked', sa.Boolean(), sa.Computed(f'coalesce({BLOCKED}, false)', persisted=True), nullable=False))
    op.add_column('attempts', sa.Column('unfinished', sa.Boolean(), sa.Computed(f'coalesce({UNFINISHED}, false)', persisted=True), nullable=False))
    op.create_index('ix_enrollments_blocked', 'enrollments', ['sequence_id', 'id'], unique=False, postgresql_where=sa.text('blocked'))
    op.create_index('ix_attempts_unfinished', 'attempts', ['look_ups', 'answered_at'], unique=False, postgresql_where=sa.text('unfinished'))
    op.create_index('ix_messages_inbound', 'messages', ['phone'], unique=False, postgresql_where=sa.text("direction = 'inbound'"))
    op.create_index('ix_messages_opt_in', 'messages', ['phone'], unique=False, postgresql_where=sa.text("keyword = 'opt_in'"))
    # Its check would lock the sender's row at every text (storage/locks.py).
    op.drop_constraint('fk_messages_sender_id', 'messages', type_='foreignkey')
    op.execute(
        """
        CREATE FUNCTION sender_of_texts_stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM messages WHERE sender_id = OLD.id) THEN
                RAISE EXCEPTION 'texts name sender %', OLD.id USING ERRCODE = 'foreign_key_violation';
            END IF;
            RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER sender_of_texts_stays BEFORE DELETE OR UPDATE OF id ON senders
        FOR EACH ROW EXECUTE FUNCTION sender_of_texts_stays()
        """
    )


def downgrade() -> None:
    op.execute('DROP TRIGGER sender_of_texts_stays ON senders')
    op.execute('DROP FUNCTION sender_of_texts_stays()')
    op.create_foreign_key('fk_messages_sender_id', 'messages', 'senders', ['sender_id'], ['id'])
    op.drop_index('ix_messages_opt_in', table_name='messages', postgresql_where=sa.text("keyword = 'opt_in'"))
    op.drop_index('ix_messages_inbound', table_name='messages', postgresql_where=sa.text("direction = 'inbound'"))
    op.drop_index('ix_attempts_unfinished', table_name='attempts', postgresql_where=sa.text('unfinished'))
    op.drop_index('ix_enrollments_blocked', table_name='enrollments', postgresql_where=sa.text('blocked'))
    op.drop_column('attempts', 'unfinished')
    op.drop_column('enrollments', 'blocked')
    op.create_index('ix_messages_opt_in', 'messages', ['phone', 'occurred_at'], unique=False, postgresql_where=sa.text("keyword = 'opt_in'"))
    op.create_index('ix_messages_inbound', 'messages', ['phone', 'occurred_at'], unique=False, postgresql_where=sa.text("direction = 'inbound'"))
    op.create_index('ix_attempts_unfinished', 'attempts', ['answered_at'], unique=False, postgresql_where=sa.text(UNFINISHED))
    op.create_index('ix_enrollments_blocked', 'enrollments', ['sequence_id'], unique=False, postgresql_where=sa.text(BLOCKED))
    op.execute('ALTER TABLE attempts RESET (fillfactor)')
    op.execute('ALTER TABLE messages RESET (fillfactor)')
    op.execute('ALTER TABLE enrollments RESET (fillfactor)')
    op.drop_table('wakes')
