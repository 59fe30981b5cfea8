"""access, jobs and events

Revision: 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('event_id', sa.Uuid(), nullable=False),
    sa.Column('type', sa.String(), nullable=False),
    sa.Column('subject_id', sa.Uuid(), nullable=False),
    sa.Column('data', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('occurred_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_events')),
    sa.UniqueConstraint('event_id', name=op.f('uq_events_event_id'))
    )
    op.create_index('ix_events_subject', 'events', ['subject_id', 'id'], unique=False)
    op.create_table('rate_counts',
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('window_start', sa.DateTime(timezone=True), nullable=False),
    sa.Column('count', sa.Integer(), nullable=False),
    sa.CheckConstraint('count >= 0', name=op.f('ck_rate_counts_count_not_negative')),
    sa.PrimaryKeyConstraint('key', 'window_start', name=op.f('pk_rate_counts'))
    )
    op.create_table('workspace',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('time_zone', sa.String(), nullable=True),
    sa.Column('hour_cycle', sa.Integer(), server_default='12', nullable=False),
    sa.Column('erasure_key', sa.String(), server_default=sa.text('gen_random_uuid()::text || gen_random_uuid()'), nullable=False),
    sa.CheckConstraint('hour_cycle IN (12, 24)', name=op.f('ck_workspace_hour_cycle_known')),
    sa.CheckConstraint('id = 1', name=op.f('ck_workspace_one_row')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_workspace'))
    )
    op.create_table('event_endpoints',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('url', sa.String(), nullable=False),
    sa.Column('description', sa.String(), nullable=False),
    sa.Column('types', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('secret', sa.String(), nullable=False),
    sa.Column('created_by', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['created_by'], ['users.id'], name=op.f('fk_event_endpoints_created_by')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_event_endpoints'))
    )
    op.create_table('jobs',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('kind', sa.String(32), nullable=False),
    sa.Column('state', sa.String(32), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('params', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('total', sa.Integer(), nullable=False),
    sa.Column('done', sa.Integer(), nullable=False),
    sa.Column('error', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("kind IN ('import_contacts', 'enrol', 'mark_finished', 'add_to_group', 'pause', 'resume', 'release')", name=op.f('ck_jobs_kind_known')),
    sa.CheckConstraint("state IN ('receiving', 'queued', 'running', 'canceling', 'done', 'canceled', 'failed')", name=op.f('ck_jobs_state_known')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_jobs_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs'))
    )
    op.create_index('ix_jobs_list', 'jobs', ['created_at', 'id'], unique=False)
    op.create_index(op.f('ix_jobs_user_id'), 'jobs', ['user_id'], unique=False)
    op.create_table('sessions',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('token_hash', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_sessions_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sessions')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_sessions_token_hash'))
    )
    op.create_index(op.f('ix_sessions_user_id'), 'sessions', ['user_id'], unique=False)
    op.create_table('audit_log',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=True),
    sa.Column('token_id', sa.Uuid(), nullable=True),
    sa.Column('action', sa.String(), nullable=False),
    sa.Column('subject_kind', sa.String(), nullable=True),
    sa.Column('subject_id', sa.Uuid(), nullable=True),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('address', sa.String(), nullable=True),
    sa.ForeignKeyConstraint(['token_id'], ['api_tokens.id'], name=op.f('fk_audit_log_token_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_audit_log_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_log'))
    )
    op.create_index('ix_audit_log_action', 'audit_log', ['action', 'id'], unique=False)
    op.create_index('ix_audit_log_at', 'audit_log', ['at', 'id'], unique=False)
    op.create_index('ix_audit_log_subject', 'audit_log', ['subject_id', 'id'], unique=False)
    op.create_index('ix_audit_log_user', 'audit_log', ['user_id', 'id'], unique=False)
    op.create_table('event_deliveries',
    sa.Column('endpoint_id', sa.Uuid(), nullable=False),
    sa.Column('event_id', sa.BigInteger(), nullable=False),
    sa.Column('subject_id', sa.Uuid(), nullable=False),
    sa.Column('tries', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_try_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('last_tried_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_status', sa.Integer(), nullable=True),
    sa.Column('last_error', sa.String(), nullable=True),
    sa.Column('delivered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('given_up_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['endpoint_id'], ['event_endpoints.id'], name=op.f('fk_event_deliveries_endpoint_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['event_id'], ['events.id'], name=op.f('fk_event_deliveries_event_id')),
    sa.PrimaryKeyConstraint('endpoint_id', 'event_id', name=op.f('pk_event_deliveries'))
    )
    op.create_index('ix_event_deliveries_event', 'event_deliveries', ['event_id'], unique=False)
    op.create_index('ix_event_deliveries_open', 'event_deliveries', ['endpoint_id', 'next_try_at'], unique=False, postgresql_where=sa.text('delivered_at IS NULL AND given_up_at IS NULL'))
    op.create_index('ix_event_deliveries_order', 'event_deliveries', ['endpoint_id', 'subject_id', 'event_id'], unique=False, postgresql_where=sa.text('delivered_at IS NULL AND given_up_at IS NULL'))
    op.create_table('job_rows',
    sa.Column('job_id', sa.Uuid(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('subject_id', sa.Uuid(), nullable=True),
    sa.Column('code', sa.String(), nullable=True),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_job_rows_job_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('job_id', 'position', name=op.f('pk_job_rows'))
    )
    op.create_index('ix_job_rows_code', 'job_rows', ['job_id', 'code', 'position'], unique=False)
    op.create_index('ix_job_rows_subject', 'job_rows', ['job_id', 'subject_id'], unique=False)
    op.create_index('ix_job_rows_open', 'job_rows', ['job_id', 'position'], unique=False, postgresql_where=sa.text('code IS NULL'))
    op.add_column('api_tokens', sa.Column('scopes', postgresql.JSONB(astext_type=sa.Text()), server_default='["read", "write", "send", "admin"]', nullable=False))
    op.add_column('enrollments', sa.Column('paused_at', sa.DateTime(timezone=True), nullable=True))
    op.add_column('suppressions', sa.Column('phone_hash', sa.String(), nullable=True))
    op.add_column('suppressions', sa.Column('asked', sa.Boolean(), server_default=sa.text('false'), nullable=False))
    op.execute("UPDATE suppressions SET asked = source IN ('keyword', 'provider_error')")
    op.add_column('suppressions', sa.Column('lifted_reason', sa.String(), nullable=True))
    op.alter_column('suppressions', 'phone',
               existing_type=sa.VARCHAR(),
               nullable=True)
    op.create_index('ix_suppressions_phone_hash', 'suppressions', ['phone_hash'], unique=False)
    op.create_check_constraint(
        op.f('ck_enrollments_paused_is_active'), 'enrollments', "paused_at IS NULL OR status = 'active'"
    )
    op.create_check_constraint(
        op.f('ck_suppressions_phone_or_hash'), 'suppressions', '(phone IS NULL) <> (phone_hash IS NULL)'
    )
    op.drop_index('uq_suppressions_standing', table_name='suppressions')
    op.create_index('uq_suppressions_standing', 'suppressions', ['phone', 'sender_id'], unique=True, postgresql_nulls_not_distinct=True, postgresql_where=sa.text('lifted_at IS NULL AND phone IS NOT NULL'))
    op.execute(
        """
        CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'check_violation';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE ON audit_log
        FOR EACH ROW EXECUTE FUNCTION audit_log_stays()
        """
    )
    op.execute(
        """
        CREATE TRIGGER audit_log_stays_whole BEFORE TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays()
        """
    )


def downgrade() -> None:
    op.drop_index('uq_suppressions_standing', table_name='suppressions')
    op.execute('DELETE FROM suppressions WHERE phone IS NULL')
    op.create_index('uq_suppressions_standing', 'suppressions', ['phone', 'sender_id'], unique=True, postgresql_nulls_not_distinct=True, postgresql_where=sa.text('lifted_at IS NULL'))
    op.drop_constraint(op.f('ck_suppressions_phone_or_hash'), 'suppressions')
    op.drop_constraint(op.f('ck_enrollments_paused_is_active'), 'enrollments')
    op.drop_index('ix_suppressions_phone_hash', table_name='suppressions')
    op.alter_column('suppressions', 'phone',
               existing_type=sa.VARCHAR(),
               nullable=False)
    op.drop_column('suppressions', 'lifted_reason')
    op.drop_column('suppressions', 'asked')
    op.drop_column('suppressions', 'phone_hash')
    op.drop_column('enrollments', 'paused_at')
    op.drop_column('api_tokens', 'scopes')
    op.drop_index('ix_job_rows_open', table_name='job_rows', postgresql_where=sa.text('code IS NULL'))
    op.drop_index('ix_job_rows_code', table_name='job_rows')
    op.drop_index('ix_job_rows_subject', table_name='job_rows')
    op.drop_table('job_rows')
    op.drop_index('ix_event_deliveries_order', table_name='event_deliveries', postgresql_where=sa.text('delivered_at IS NULL AND given_up_at IS NULL'))
    op.drop_index('ix_event_deliveries_open', table_name='event_deliveries', postgresql_where=sa.text('delivered_at IS NULL AND given_up_at IS NULL'))
    op.drop_index('ix_event_deliveries_event', table_name='event_deliveries')
    op.drop_table('event_deliveries')
    op.drop_index('ix_audit_log_user', table_name='audit_log')
    op.drop_index('ix_audit_log_subject', table_name='audit_log')
    op.drop_index('ix_audit_log_at', table_name='audit_log')
    op.drop_index('ix_audit_log_action', table_name='audit_log')
    op.drop_table('audit_log')
    op.drop_index(op.f('ix_sessions_user_id'), table_name='sessions')
    op.drop_table('sessions')
    op.drop_index(op.f('ix_jobs_user_id'), table_name='jobs')
    op.drop_index('ix_jobs_list', table_name='jobs')
    op.drop_table('jobs')
    op.drop_table('event_endpoints')
    op.drop_table('workspace')
    op.drop_table('rate_counts')
    op.drop_index('ix_events_subject', table_name='events')
    op.drop_table('events')
    op.execute('DROP FUNCTION audit_log_stays')
