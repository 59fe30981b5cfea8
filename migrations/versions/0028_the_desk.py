"""saved replies, notes on contacts, snoozed conversations, drafts and templates of sequences,
saved views, preferences of users

Revision: 0028, after 0027.

Each statement commits by itself and is harmless when repeated. No row's values are written, so
tables are locked for moments only. The release before goes on meanwhile: it knows nothing of any
of these, except that it shows a snoozed conversation as one that needs a reply, and cannot erase a
user's own; it never deletes users.
"""

from alembic import op

revision = '0028'
down_revision = '0027'
branch_labels = None
depends_on = None

TABLES = {
    'saved_replies': (
        'id uuid NOT NULL, owner_id uuid, name varchar NOT NULL, body varchar NOT NULL,'
        ' created_at timestamptz NOT NULL DEFAULT now(),'
        ' updated_at timestamptz NOT NULL DEFAULT now(),'
        ' CONSTRAINT pk_saved_replies PRIMARY KEY (id),'
        ' CONSTRAINT fk_saved_replies_owner_id FOREIGN KEY (owner_id) REFERENCES users (id)'
    ),
    'contact_notes': (
        'id uuid NOT NULL, contact_id uuid NOT NULL, author_id uuid NOT NULL,'
        ' body varchar NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),'
        ' CONSTRAINT pk_contact_notes PRIMARY KEY (id),'
        ' CONSTRAINT fk_contact_notes_contact_id FOREIGN KEY (contact_id)'
        ' REFERENCES contacts (id) ON DELETE CASCADE,'
        ' CONSTRAINT fk_contact_notes_author_id FOREIGN KEY (author_id) REFERENCES users (id)'
    ),
    'sequence_drafts': (
        'sequence_id uuid NOT NULL, user_id uuid NOT NULL, version integer NOT NULL,'
        ' content jsonb NOT NULL, saved_at timestamptz NOT NULL DEFAULT now(),'
        ' CONSTRAINT pk_sequence_drafts PRIMARY KEY (sequence_id, user_id),'
        ' CONSTRAINT fk_sequence_drafts_sequence_id FOREIGN KEY (sequence_id)'
        ' REFERENCES sequences (id) ON DELETE CASCADE,'
        ' CONSTRAINT fk_sequence_drafts_user_id FOREIGN KEY (user_id) REFERENCES users (id)'
    ),
    'sequence_templates': (
        "id uuid NOT NULL, name varchar NOT NULL, description varchar NOT NULL DEFAULT '',"
        ' kind varchar(32) NOT NULL, content jsonb NOT NULL, created_by uuid NOT NULL,'
        ' created_at timestamptz NOT NULL DEFAULT now(),'
        ' CONSTRAINT pk_sequence_templates PRIMARY KEY (id),'
        " CONSTRAINT ck_sequence_templates_kind_known CHECK (kind IN ('ongoing', 'scheduled')),"
        ' CONSTRAINT fk_sequence_templates_created_by FOREIGN KEY (created_by)'
        ' REFERENCES users (id)'
    ),
    'saved_views': (
        'id uuid NOT NULL, user_id uuid NOT NULL, page varchar NOT NULL, name varchar NOT NULL,'
        ' query varchar NOT NULL, created_at timestamptz NOT NULL DEFAULT now(),'
        ' CONSTRAINT pk_saved_views PRIMARY KEY (id),'
        ' CONSTRAINT fk_saved_views_user_id FOREIGN KEY (user_id) REFERENCES users (id)'
    ),
    'preferences': (
        'user_id uuid NOT NULL, name varchar NOT NULL, value jsonb NOT NULL,'
        ' CONSTRAINT pk_preferences PRIMARY KEY (user_id, name),'
        ' CONSTRAINT fk_preferences_user_id FOREIGN KEY (user_id) REFERENCES users (id)'
    ),
}

INDEXES = (
    'UNIQUE INDEX IF NOT EXISTS uq_saved_replies_name ON saved_replies (owner_id, lower(name))'
    ' NULLS NOT DISTINCT',
    'INDEX IF NOT EXISTS ix_contact_notes_contact_id ON contact_notes (contact_id)',
    'UNIQUE INDEX IF NOT EXISTS uq_sequence_templates_name ON sequence_templates (lower(name))',
    'UNIQUE INDEX IF NOT EXISTS uq_saved_views_name ON saved_views (user_id, page, lower(name))',
)


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.execute(
            'ALTER TABLE contacts ADD COLUMN IF NOT EXISTS conversation_snoozed_until timestamptz'
        )
        for name, columns in TABLES.items():
            op.execute(f'CREATE TABLE IF NOT EXISTS {name} ({columns})')
        for index in INDEXES:
            op.execute(f'CREATE {index}')


def downgrade() -> None:
    for name in reversed(TABLES):
        op.execute(f'DROP TABLE {name}')
    op.execute('ALTER TABLE contacts DROP COLUMN conversation_snoozed_until')
