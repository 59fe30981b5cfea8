"""public opt-in pages of groups, and keys that proofs are signed with

Revision: 0040, after 0039.

The tables are new, and each statement harmless when repeated. The release before shows no such
page and signs nothing.
"""

from alembic import op

revision = '0040'
down_revision = '0039'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE IF NOT EXISTS opt_in_pages (
            group_id uuid NOT NULL CONSTRAINT pk_opt_in_pages PRIMARY KEY
                CONSTRAINT fk_opt_in_pages_group_id_groups
                REFERENCES groups (id) ON DELETE CASCADE,
            slug varchar NOT NULL CONSTRAINT uq_opt_in_pages_slug UNIQUE,
            title varchar NOT NULL,
            wording varchar NOT NULL,
            terms_url varchar NOT NULL,
            sender_id uuid
                CONSTRAINT fk_opt_in_pages_sender_id_senders REFERENCES senders (id),
            created_at timestamptz NOT NULL DEFAULT now(),
            updated_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )


    op.execute(
        """
        CREATE TABLE IF NOT EXISTS proof_keys (
            public_key varchar NOT NULL CONSTRAINT pk_proof_keys PRIMARY KEY,
            private_key varchar,
            created_at timestamptz NOT NULL DEFAULT now(),
            retired_at timestamptz,
            CONSTRAINT ck_proof_keys_present_is_private
                CHECK ((private_key IS NULL) = (retired_at IS NOT NULL))
        )
        """
    )
    op.execute(
        'CREATE UNIQUE INDEX IF NOT EXISTS uq_proof_keys_present ON proof_keys ((true))'
        ' WHERE retired_at IS NULL'
    )


def downgrade() -> None:
    op.execute('DROP TABLE proof_keys')
    op.execute('DROP TABLE opt_in_pages')
