"""consents of numbers, which of them texts take and go under, and who is held without

Revision: 0039, after 0038.

Each statement commits by itself and is harmless when repeated. The table is new; the index of
opt-outs is made while rows are written, and the check is validated afterwards. The release before
goes on meanwhile and knows no consents; it must be gone before a consent is asked for, as it cannot
read an enrollment that is held for one.
"""

from alembic import op

revision = '0039'
down_revision = '0038'
branch_labels = None
depends_on = None


REASONS = ('outcome_unknown', 'sender_on_hold', 'destination_not_allowed', 'missing_data')


def reasons(*codes: str) -> None:
    """Check that enrollments are held for one of these reasons."""
    name, listed = 'ck_enrollments_held_reason_known', ', '.join(f"'{one}'" for one in codes)
    op.execute(
        f'ALTER TABLE enrollments DROP CONSTRAINT IF EXISTS {name},'
        f' ADD CONSTRAINT {name} CHECK (held_reason IN ({listed})) NOT VALID'
    )
    op.execute(f'ALTER TABLE enrollments VALIDATE CONSTRAINT {name}')


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            """
            CREATE TABLE IF NOT EXISTS consents (
                id uuid NOT NULL CONSTRAINT pk_consents PRIMARY KEY,
                phone varchar NOT NULL
                    CONSTRAINT ck_consents_phone_e164 CHECK (phone ~ '^\\+[1-9][0-9]{1,14}$'),
                source varchar NOT NULL,
                wording varchar,
                written boolean NOT NULL DEFAULT false,
                given_at timestamptz NOT NULL,
                recorded_at timestamptz NOT NULL DEFAULT now(),
                address varchar,
                user_id uuid CONSTRAINT fk_consents_user_id_users REFERENCES users (id),
                message_id uuid,
                CONSTRAINT ck_consents_written_has_wording CHECK (wording IS NOT NULL OR NOT written)
            )
            """
        )
        op.execute('CREATE INDEX IF NOT EXISTS ix_consents_phone ON consents (phone, given_at)')
        op.execute(
            """
            CREATE OR REPLACE FUNCTION consents_stay() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'a consent is never changed' USING ERRCODE = 'check_violation';
            END $$
            """
        )
        op.execute(
            """
            CREATE OR REPLACE TRIGGER consents_stay BEFORE UPDATE ON consents
            FOR EACH ROW EXECUTE FUNCTION consents_stay()
            """
        )
        op.execute('DROP INDEX CONCURRENTLY IF EXISTS ix_suppressions_phone')
        op.execute(
            'CREATE INDEX CONCURRENTLY ix_suppressions_phone ON suppressions (phone, occurred_at)'
        )
        op.execute('ALTER TABLE messages ADD COLUMN IF NOT EXISTS consent_id uuid')
        op.execute(
            'ALTER TABLE workspace ADD COLUMN IF NOT EXISTS'
            " require_consent jsonb NOT NULL DEFAULT '{}'"
        )
        reasons(*REASONS, 'consent_missing')


def downgrade() -> None:
    op.execute(
        "UPDATE enrollments SET activity = 'waiting', held_reason = NULL, next_send_at = now()"
        " WHERE held_reason = 'consent_missing'"
    )
    reasons(*REASONS)
    op.execute('ALTER TABLE workspace DROP COLUMN require_consent')
    op.execute('ALTER TABLE messages DROP COLUMN consent_id')
    op.execute('DROP INDEX ix_suppressions_phone')
    op.execute('DROP TABLE consents')
    op.execute('DROP FUNCTION consents_stay()')
