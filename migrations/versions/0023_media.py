"""pictures, and indexes of the messages and steps that name them

Revision: 0023, after 0022.

Each statement commits by itself and is harmless when repeated. The indexes are made while messages
and steps are written; they hold only rows that have pictures. The release before goes on meanwhile:
it knows none of this.
"""

from alembic import op

revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None

MEDIA = """
    CREATE TABLE IF NOT EXISTS media (
        id uuid NOT NULL,
        token varchar NOT NULL,
        url varchar NOT NULL,
        sha256 varchar NOT NULL,
        content bytea NOT NULL,
        content_type varchar NOT NULL,
        size integer NOT NULL,
        width integer NOT NULL,
        height integer NOT NULL,
        thumbnail bytea NOT NULL,
        created_by uuid NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        checked_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT pk_media PRIMARY KEY (id),
        CONSTRAINT uq_media_token UNIQUE (token),
        CONSTRAINT uq_media_url UNIQUE (url),
        CONSTRAINT fk_media_created_by FOREIGN KEY (created_by) REFERENCES users (id)
    )
"""

INDEXES = (
    ('ix_media_sha256', 'media (sha256)'),
    ('ix_media_checked', 'media (checked_at)'),
    (
        'ix_messages_media',
        "messages USING gin (media_urls jsonb_path_ops) WHERE media_urls <> '[]'",
    ),
    ('ix_steps_media', "steps USING gin (media_urls jsonb_path_ops) WHERE media_urls <> '[]'"),
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(MEDIA)
        # Pictures do not get smaller when they are compressed once more.
        op.execute('ALTER TABLE media ALTER content SET STORAGE EXTERNAL')
        for name, on in INDEXES:
            op.execute(f'DROP INDEX CONCURRENTLY IF EXISTS {name}')
            op.execute(f'CREATE INDEX CONCURRENTLY {name} ON {on}')


def downgrade() -> None:
    for name in ('ix_messages_media', 'ix_steps_media'):
        op.execute(f'DROP INDEX {name}')
    op.execute('DROP TABLE media')
