"""initial tables

Revision: 0001, the first
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.create_table('contacts',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('first_name', sa.String(), nullable=False),
    sa.Column('last_name', sa.String(), nullable=False),
    sa.Column('phone', sa.String(), nullable=False),
    sa.Column('time_zone', sa.String(), nullable=True),
    sa.Column('line_type', sa.String(32), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('search_name', sa.Text(), sa.Computed("lower(btrim(first_name || ' ' || last_name))", persisted=True), nullable=False),
    sa.CheckConstraint("line_type IN ('mobile', 'landline', 'tollFree', 'fixedVoip', 'nonFixedVoip', 'personal', 'premium', 'voicemail', 'sharedCost', 'uan', 'pager', 'unknown')", name=op.f('ck_contacts_line_type_known')),
    sa.CheckConstraint("phone ~ '^\\+[1-9][0-9]{1,14}$'", name=op.f('ck_contacts_phone_e164')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_contacts')),
    sa.UniqueConstraint('phone', name=op.f('uq_contacts_phone'))
    )
    op.create_index('ix_contacts_created', 'contacts', ['created_at', 'id'], unique=False)
    op.create_index('ix_contacts_name', 'contacts', ['search_name', 'id'], unique=False)
    op.create_index('ix_contacts_phone_trgm', 'contacts', ['phone'], unique=False, postgresql_using='gin', postgresql_ops={'phone': 'gin_trgm_ops'})
    op.create_index('ix_contacts_search_name_trgm', 'contacts', ['search_name'], unique=False, postgresql_using='gin', postgresql_ops={'search_name': 'gin_trgm_ops'})
    op.create_table('groups',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_groups'))
    )
    op.create_index('uq_groups_name', 'groups', [sa.literal_column('lower(name)')], unique=True)
    op.create_table('inbound_events',
    sa.Column('provider_sid', sa.String(), nullable=False),
    sa.Column('phone', sa.String(), nullable=False),
    sa.Column('payload', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('applied_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('provider_sid', name=op.f('pk_inbound_events'))
    )
    op.create_index('ix_inbound_events_unapplied', 'inbound_events', ['phone'], unique=False, postgresql_where=sa.text('applied_at IS NULL'))
    op.create_table('outbox',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('subject_id', sa.Uuid(), nullable=False),
    sa.Column('payload', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.Column('tries', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_try_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_outbox'))
    )
    op.create_index('ix_outbox_next_try_at', 'outbox', ['next_try_at', 'id'], unique=False)
    op.create_index('ix_outbox_subject', 'outbox', ['subject_id', 'id'], unique=False)
    op.create_table('senders',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('phone', sa.String(), nullable=True),
    sa.Column('messaging_service_sid', sa.String(), nullable=True),
    sa.Column('segments_per_second', sa.Numeric(precision=8, scale=3), nullable=False),
    sa.Column('held_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('hold_code', sa.Integer(), nullable=True),
    sa.Column('hold_from_report', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('next_probe_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint('(held_at IS NULL) = (next_probe_at IS NULL)', name=op.f('ck_senders_a_hold_has_a_next_probe')),
    sa.CheckConstraint('(phone IS NULL) <> (messaging_service_sid IS NULL)', name=op.f('ck_senders_phone_or_service')),
    sa.CheckConstraint('segments_per_second > 0', name=op.f('ck_senders_rate_positive')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_senders')),
    sa.UniqueConstraint('messaging_service_sid', name=op.f('uq_senders_messaging_service_sid')),
    sa.UniqueConstraint('phone', name=op.f('uq_senders_phone'))
    )
    op.create_table('status_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('provider_sid', sa.String(), nullable=False),
    sa.Column('status', sa.String(), nullable=False),
    sa.Column('error_code', sa.Integer(), nullable=True),
    sa.Column('attempt_id', sa.Uuid(), nullable=True),
    sa.Column('payload', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('applied_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_status_events')),
    sa.UniqueConstraint('provider_sid', 'status', 'error_code', name=op.f('uq_status_events_provider_sid_status_error_code'), postgresql_nulls_not_distinct=True)
    )
    op.create_index('ix_status_events_unapplied', 'status_events', ['id'], unique=False, postgresql_where=sa.text('applied_at IS NULL'))
    op.create_table('users',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('email', sa.String(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('role', sa.String(32), nullable=False),
    sa.Column('password_hash', sa.String(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("role IN ('viewer', 'member', 'admin')", name=op.f('ck_users_role_known')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users'))
    )
    op.create_index('uq_users_email', 'users', [sa.literal_column('lower(email)')], unique=True)
    op.create_table('api_tokens',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('token_hash', sa.String(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_api_tokens_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_api_tokens')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_api_tokens_token_hash'))
    )
    op.create_index(op.f('ix_api_tokens_user_id'), 'api_tokens', ['user_id'], unique=False)
    op.create_table('group_members',
    sa.Column('group_id', sa.Uuid(), nullable=False),
    sa.Column('contact_id', sa.Uuid(), nullable=False),
    sa.Column('added_by', sa.Uuid(), nullable=True),
    sa.Column('added_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['added_by'], ['users.id'], name=op.f('fk_group_members_added_by')),
    sa.ForeignKeyConstraint(['contact_id'], ['contacts.id'], name=op.f('fk_group_members_contact_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['group_id'], ['groups.id'], name=op.f('fk_group_members_group_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('group_id', 'contact_id', name=op.f('pk_group_members'))
    )
    op.create_index(op.f('ix_group_members_contact_id'), 'group_members', ['contact_id'], unique=False)
    op.create_table('idempotency_keys',
    sa.Column('user_id', sa.Uuid(), nullable=False),
    sa.Column('key', sa.String(), nullable=False),
    sa.Column('route', sa.String(), nullable=False),
    sa.Column('request_hash', sa.String(), nullable=False),
    sa.Column('status_code', sa.Integer(), nullable=True),
    sa.Column('answer', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_idempotency_keys_user_id')),
    sa.PrimaryKeyConstraint('user_id', 'key', name=op.f('pk_idempotency_keys'))
    )
    op.create_table('sequences',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(), nullable=False),
    sa.Column('sender_id', sa.Uuid(), nullable=False),
    sa.Column('kind', sa.String(32), nullable=False),
    sa.Column('on_reply', sa.String(32), nullable=False),
    sa.Column('reply_window_seconds', sa.Integer(), nullable=False),
    sa.Column('send_window', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('state', sa.String(32), nullable=False),
    sa.Column('created_by', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("kind IN ('ongoing', 'scheduled')", name=op.f('ck_sequences_kind_known')),
    sa.CheckConstraint("on_reply IN ('finish', 'continue')", name=op.f('ck_sequences_on_reply_known')),
    sa.CheckConstraint("state IN ('draft', 'active', 'paused', 'archived')", name=op.f('ck_sequences_state_known')),
    sa.CheckConstraint('reply_window_seconds >= 0', name=op.f('ck_sequences_reply_window_not_negative')),
    sa.ForeignKeyConstraint(['created_by'], ['users.id'], name=op.f('fk_sequences_created_by')),
    sa.ForeignKeyConstraint(['sender_id'], ['senders.id'], name=op.f('fk_sequences_sender_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sequences'))
    )
    op.create_index(op.f('ix_sequences_sender_id'), 'sequences', ['sender_id'], unique=False)
    op.create_table('sequence_versions',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('sequence_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('step_count', sa.Integer(), nullable=False),
    sa.Column('created_by', sa.Uuid(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.ForeignKeyConstraint(['created_by'], ['users.id'], name=op.f('fk_sequence_versions_created_by')),
    sa.ForeignKeyConstraint(['sequence_id'], ['sequences.id'], name=op.f('fk_sequence_versions_sequence_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sequence_versions')),
    sa.UniqueConstraint('sequence_id', 'number', name=op.f('uq_sequence_versions_sequence_id_number'))
    )
    op.create_table('enrollments',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('sequence_id', sa.Uuid(), nullable=False),
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('contact_id', sa.Uuid(), nullable=False),
    sa.Column('enrolled_by', sa.Uuid(), nullable=False),
    sa.Column('enrolled_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('status', sa.String(32), nullable=False),
    sa.Column('activity', sa.String(32), nullable=True),
    sa.Column('held_reason', sa.String(32), nullable=True),
    sa.Column('held_code', sa.Integer(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_by', sa.Uuid(), nullable=True),
    sa.Column('error_code', sa.Integer(), nullable=True),
    sa.Column('replied_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('step', sa.Integer(), nullable=False),
    sa.Column('step_count', sa.Integer(), nullable=False),
    sa.Column('pass', sa.Integer(), server_default='1', nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('next_send_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reply_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_sent_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_message_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('probing', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.CheckConstraint("(activity = 'held') = (held_reason IS NOT NULL)", name=op.f('ck_enrollments_held_has_reason')),
    sa.CheckConstraint("(status = 'active') = (activity IS NOT NULL)", name=op.f('ck_enrollments_active_does')),
    sa.CheckConstraint("(status = 'active') = (ended_at IS NULL)", name=op.f('ck_enrollments_final_has_an_end')),
    sa.CheckConstraint("activity IN ('waiting', 'sending', 'awaiting_reply', 'paused', 'held')", name=op.f('ck_enrollments_activity_known')),
    sa.CheckConstraint("held_reason IN ('outcome_unknown', 'sender_on_hold', 'destination_not_allowed')", name=op.f('ck_enrollments_held_reason_known')),
    sa.CheckConstraint("status IN ('active', 'finished_responded', 'finished_no_response', 'finished_stopped', 'failed', 'opted_out', 'omitted_opted_out', 'omitted_landline')", name=op.f('ck_enrollments_status_known')),
    sa.CheckConstraint('step >= 0 AND position >= 1 AND pass >= 1', name=op.f('ck_enrollments_place')),
    sa.ForeignKeyConstraint(['contact_id'], ['contacts.id'], name=op.f('fk_enrollments_contact_id')),
    sa.ForeignKeyConstraint(['ended_by'], ['users.id'], name=op.f('fk_enrollments_ended_by')),
    sa.ForeignKeyConstraint(['enrolled_by'], ['users.id'], name=op.f('fk_enrollments_enrolled_by')),
    sa.ForeignKeyConstraint(['sequence_id'], ['sequences.id'], name=op.f('fk_enrollments_sequence_id')),
    sa.ForeignKeyConstraint(['version_id'], ['sequence_versions.id'], name=op.f('fk_enrollments_version_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_enrollments'))
    )
    op.create_index('ix_enrollments_blocked', 'enrollments', ['sequence_id'], unique=False, postgresql_where=sa.text("activity IN ('paused', 'held')"))
    op.create_index('ix_enrollments_contact', 'enrollments', ['contact_id', 'status'], unique=False)
    op.create_index('ix_enrollments_counts', 'enrollments', ['sequence_id', 'status'], unique=False)
    op.create_index('ix_enrollments_last_message', 'enrollments', ['sequence_id', 'last_message_at', 'id'], unique=False)
    op.create_index('ix_enrollments_list', 'enrollments', ['sequence_id', 'enrolled_at', 'id'], unique=False)
    op.create_index('ix_enrollments_next_event', 'enrollments', [sa.literal_column('coalesce(next_send_at, reply_until)')], unique=False, postgresql_where=sa.text("status = 'active'"))
    op.create_index('ix_enrollments_next_send', 'enrollments', ['sequence_id', 'next_send_at', 'id'], unique=False)
    op.create_index(op.f('ix_enrollments_version_id'), 'enrollments', ['version_id'], unique=False)
    op.create_index('uq_enrollments_active', 'enrollments', ['contact_id', 'sequence_id'], unique=True, postgresql_where=sa.text("status = 'active'"))
    op.create_table('steps',
    sa.Column('version_id', sa.Uuid(), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('media_urls', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('delay_seconds', sa.Integer(), nullable=True),
    sa.Column('at_time', sa.Time(), nullable=True),
    sa.Column('send_at', sa.DateTime(), nullable=True),
    sa.Column('segments', sa.Integer(), nullable=False),
    sa.CheckConstraint('(delay_seconds IS NULL) <> (send_at IS NULL)', name=op.f('ck_steps_delay_or_date')),
    sa.CheckConstraint('at_time IS NULL OR delay_seconds IS NOT NULL', name=op.f('ck_steps_time_needs_delay')),
    sa.CheckConstraint('position >= 1', name=op.f('ck_steps_position_from_one')),
    sa.ForeignKeyConstraint(['version_id'], ['sequence_versions.id'], name=op.f('fk_steps_version_id')),
    sa.PrimaryKeyConstraint('version_id', 'position', name=op.f('pk_steps'))
    )
    op.create_table('enrollment_events',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=True), nullable=False),
    sa.Column('enrollment_id', sa.Uuid(), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('kind', sa.String(), nullable=False),
    sa.Column('user_id', sa.Uuid(), nullable=True),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), server_default='{}', nullable=False),
    sa.ForeignKeyConstraint(['enrollment_id'], ['enrollments.id'], name=op.f('fk_enrollment_events_enrollment_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_enrollment_events_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_enrollment_events'))
    )
    op.create_index('ix_enrollment_events_enrollment', 'enrollment_events', ['enrollment_id', 'id'], unique=False)
    op.create_table('messages',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('direction', sa.String(32), nullable=False),
    sa.Column('contact_id', sa.Uuid(), nullable=True),
    sa.Column('phone', sa.String(), nullable=False),
    sa.Column('sender_id', sa.Uuid(), nullable=True),
    sa.Column('enrollment_id', sa.Uuid(), nullable=True),
    sa.Column('step', sa.Integer(), nullable=True),
    sa.Column('pass', sa.Integer(), nullable=True),
    sa.Column('user_id', sa.Uuid(), nullable=True),
    sa.Column('body', sa.String(), nullable=False),
    sa.Column('media_urls', postgresql.JSONB(astext_type=sa.Text()), server_default='[]', nullable=False),
    sa.Column('status', sa.String(32), nullable=False),
    sa.Column('error_code', sa.Integer(), nullable=True),
    sa.Column('keyword', sa.String(), nullable=True),
    sa.Column('is_reply', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('provider_sid', sa.String(), nullable=True),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('failed_tries', sa.Integer(), server_default='0', nullable=False),
    sa.Column('next_try_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.CheckConstraint("direction = 'inbound' OR provider_sid IS NULL", name=op.f('ck_messages_sid_of_inbound')),
    sa.CheckConstraint("direction IN ('inbound', 'outbound')", name=op.f('ck_messages_direction_known')),
    sa.CheckConstraint("status IN ('pending', 'sending', 'unknown', 'refused', 'accepted', 'scheduled', 'queued', 'sent', 'failed', 'canceled', 'undelivered', 'delivered', 'read', 'received')", name=op.f('ck_messages_status_known')),
    sa.CheckConstraint('(step IS NULL) = (pass IS NULL)', name=op.f('ck_messages_step_has_pass')),
    sa.CheckConstraint('step IS NULL OR enrollment_id IS NOT NULL', name=op.f('ck_messages_step_of_enrollment')),
    sa.ForeignKeyConstraint(['contact_id'], ['contacts.id'], name=op.f('fk_messages_contact_id')),
    sa.ForeignKeyConstraint(['enrollment_id'], ['enrollments.id'], name=op.f('fk_messages_enrollment_id')),
    sa.ForeignKeyConstraint(['sender_id'], ['senders.id'], name=op.f('fk_messages_sender_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_messages_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_messages')),
    sa.UniqueConstraint('provider_sid', name=op.f('uq_messages_provider_sid'))
    )
    op.create_index(op.f('ix_messages_contact_id'), 'messages', ['contact_id'], unique=False)
    op.create_index('ix_messages_enrollment', 'messages', ['enrollment_id'], unique=False)
    op.create_index('ix_messages_opt_in', 'messages', ['phone', 'occurred_at'], unique=False, postgresql_where=sa.text("keyword = 'opt_in'"))
    op.create_index('ix_messages_phone', 'messages', ['phone', 'created_at'], unique=False)
    op.create_index('uq_messages_step', 'messages', ['enrollment_id', 'step', 'pass'], unique=True, postgresql_where=sa.text('step IS NOT NULL'))
    op.create_table('attempts',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('message_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('outcome', sa.String(32), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('call_before', sa.DateTime(timezone=True), nullable=False),
    sa.Column('answered_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('provider_sid', sa.String(), nullable=True),
    sa.Column('provider_status', sa.String(32), nullable=True),
    sa.Column('reported_failed', sa.Boolean(), server_default=sa.text('false'), nullable=False),
    sa.Column('error_code', sa.Integer(), nullable=True),
    sa.Column('http_status', sa.Integer(), nullable=True),
    sa.Column('from_phone', sa.String(), nullable=True),
    sa.Column('absent_once_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("outcome IN ('open', 'unknown', 'accepted', 'refused', 'absent', 'assumed_sent', 'written_off')", name=op.f('ck_attempts_outcome_known')),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('fk_attempts_message_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attempts')),
    sa.UniqueConstraint('message_id', 'number', name=op.f('uq_attempts_message_id_number')),
    sa.UniqueConstraint('provider_sid', name=op.f('uq_attempts_provider_sid'))
    )
    op.create_index('ix_attempts_unsettled', 'attempts', ['started_at'], unique=False, postgresql_where=sa.text("outcome IN ('open', 'unknown')"))
    op.create_index('uq_attempts_live', 'attempts', ['message_id'], unique=True, postgresql_where=sa.text("outcome IN ('open', 'unknown', 'accepted', 'assumed_sent') AND NOT reported_failed"))
    op.create_table('suppressions',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('phone', sa.String(), nullable=False),
    sa.Column('sender_id', sa.Uuid(), nullable=True),
    sa.Column('source', sa.String(32), nullable=False),
    sa.Column('reason', sa.String(), nullable=True),
    sa.Column('message_id', sa.Uuid(), nullable=True),
    sa.Column('attempt_id', sa.Uuid(), nullable=True),
    sa.Column('user_id', sa.Uuid(), nullable=True),
    sa.Column('occurred_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('lifted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lifted_by', sa.Uuid(), nullable=True),
    sa.Column('lifted_message_id', sa.Uuid(), nullable=True),
    sa.CheckConstraint("source IN ('keyword', 'plain_wish', 'provider_error', 'by_hand')", name=op.f('ck_suppressions_source_known')),
    sa.ForeignKeyConstraint(['attempt_id'], ['attempts.id'], name=op.f('fk_suppressions_attempt_id')),
    sa.ForeignKeyConstraint(['lifted_by'], ['users.id'], name=op.f('fk_suppressions_lifted_by')),
    sa.ForeignKeyConstraint(['lifted_message_id'], ['messages.id'], name=op.f('fk_suppressions_lifted_message_id')),
    sa.ForeignKeyConstraint(['message_id'], ['messages.id'], name=op.f('fk_suppressions_message_id')),
    sa.ForeignKeyConstraint(['sender_id'], ['senders.id'], name=op.f('fk_suppressions_sender_id')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_suppressions_user_id')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_suppressions'))
    )
    op.create_index('uq_suppressions_standing', 'suppressions', ['phone', 'sender_id'], unique=True, postgresql_nulls_not_distinct=True, postgresql_where=sa.text('lifted_at IS NULL'))
    op.execute(
        """
        CREATE FUNCTION enrollments_final_stays() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'enrollment % is % and cannot become %', OLD.id, OLD.status, NEW.status
                USING ERRCODE = 'check_violation', CONSTRAINT = 'enrollments_final_stays';
        END $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER enrollments_final_stays BEFORE UPDATE OF status ON enrollments
        FOR EACH ROW WHEN (OLD.status <> 'active' AND NEW.status <> OLD.status)
        EXECUTE FUNCTION enrollments_final_stays()
        """
    )


def downgrade() -> None:
    op.drop_index('uq_suppressions_standing', table_name='suppressions', postgresql_nulls_not_distinct=True, postgresql_where=sa.text('lifted_at IS NULL'))
    op.drop_table('suppressions')
    op.drop_index('uq_attempts_live', table_name='attempts', postgresql_where=sa.text("outcome IN ('open', 'unknown', 'accepted', 'assumed_sent') AND NOT reported_failed"))
    op.drop_index('ix_attempts_unsettled', table_name='attempts', postgresql_where=sa.text("outcome IN ('open', 'unknown')"))
    op.drop_table('attempts')
    op.drop_index('uq_messages_step', table_name='messages', postgresql_where=sa.text('step IS NOT NULL'))
    op.drop_index('ix_messages_phone', table_name='messages')
    op.drop_index('ix_messages_opt_in', table_name='messages', postgresql_where=sa.text("keyword = 'opt_in'"))
    op.drop_index('ix_messages_enrollment', table_name='messages')
    op.drop_index(op.f('ix_messages_contact_id'), table_name='messages')
    op.drop_table('messages')
    op.drop_index('ix_enrollment_events_enrollment', table_name='enrollment_events')
    op.drop_table('enrollment_events')
    op.drop_table('steps')
    op.drop_index('uq_enrollments_active', table_name='enrollments', postgresql_where=sa.text("status = 'active'"))
    op.drop_index(op.f('ix_enrollments_version_id'), table_name='enrollments')
    op.drop_index('ix_enrollments_next_send', table_name='enrollments')
    op.drop_index('ix_enrollments_next_event', table_name='enrollments', postgresql_where=sa.text("status = 'active'"))
    op.drop_index('ix_enrollments_list', table_name='enrollments')
    op.drop_index('ix_enrollments_last_message', table_name='enrollments')
    op.drop_index('ix_enrollments_counts', table_name='enrollments')
    op.drop_index('ix_enrollments_contact', table_name='enrollments')
    op.drop_index('ix_enrollments_blocked', table_name='enrollments', postgresql_where=sa.text("activity IN ('paused', 'held')"))
    op.drop_table('enrollments')
    op.drop_table('sequence_versions')
    op.drop_index(op.f('ix_sequences_sender_id'), table_name='sequences')
    op.drop_table('sequences')
    op.drop_table('idempotency_keys')
    op.drop_index(op.f('ix_group_members_contact_id'), table_name='group_members')
    op.drop_table('group_members')
    op.drop_index(op.f('ix_api_tokens_user_id'), table_name='api_tokens')
    op.drop_table('api_tokens')
    op.drop_index('uq_users_email', table_name='users')
    op.drop_table('users')
    op.drop_index('ix_status_events_unapplied', table_name='status_events', postgresql_where=sa.text('applied_at IS NULL'))
    op.drop_table('status_events')
    op.drop_table('senders')
    op.drop_index('ix_outbox_subject', table_name='outbox')
    op.drop_index('ix_outbox_next_try_at', table_name='outbox')
    op.drop_table('outbox')
    op.drop_index('ix_inbound_events_unapplied', table_name='inbound_events', postgresql_where=sa.text('applied_at IS NULL'))
    op.drop_table('inbound_events')
    op.drop_index('uq_groups_name', table_name='groups')
    op.drop_table('groups')
    op.drop_index('ix_contacts_search_name_trgm', table_name='contacts', postgresql_using='gin', postgresql_ops={'search_name': 'gin_trgm_ops'})
    op.drop_index('ix_contacts_phone_trgm', table_name='contacts', postgresql_using='gin', postgresql_ops={'phone': 'gin_trgm_ops'})
    op.drop_index('ix_contacts_name', table_name='contacts')
    op.drop_index('ix_contacts_created', table_name='contacts')
    op.drop_table('contacts')
    op.execute("DROP FUNCTION enrollments_final_stays")
