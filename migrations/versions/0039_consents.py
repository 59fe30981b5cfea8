"""consents of numbers

Revision: 0039, after 0035.

Each statement commits by itself and is harmless when repeated. The table is new; the index of
opt-outs is made while rows are written. The release before goes on meanwhile, and knows no consents.
"""

from alembic import op

revision = '0039'
down_revision = '0035'
branch_labels = None
depends_on = None


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


def downgrade() -> None:
    op.execute('DROP INDEX ix_suppressions_phone')
    op.execute('DROP TABLE consents')
    op.execute('DROP FUNCTION consents_stay()')
